//! Which fire is next, and what becomes of those that were missed. Pure: `now` is an argument.
//!
//! A fire time is *due* once it is not later than now, *on time* for [`GRACE`] after, and *missed*
//! from then on: the entry's catch-up policy decides about it (DESIGN, law 5).

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::entry::{CatchUpPolicy, Entry, Timing};

/// A fire no later than this is on time whatever the catch-up policy says. A hiccup is no gap;
/// resque-scheduler, which polls every 5 s, is as late on a good day.
pub const GRACE: TimeDelta = TimeDelta::seconds(5);

/// What is remembered of an entry from one process to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// When a leader first saw this entry with this timing. It has missed nothing from before.
    pub first_seen: DateTime<Utc>,
    /// The last fire time that was enqueued.
    pub last_fire: Option<DateTime<Utc>>,
}

/// How far an entry has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What intervals are counted from.
    anchor: DateTime<Utc>,
    /// All fire times up to here, inclusive, are fired or given up.
    settled: DateTime<Utc>,
}

impl Progress {
    /// Takes up an entry where its history ends.
    pub fn resume(timing: &Timing, history: History) -> Self {
        let first_seen = history.first_seen.trunc_subsecs(0);
        match (timing, history.last_fire) {
            (Timing::Every(every), None) => {
                let anchor = every.first_after(first_seen);
                Self {
                    anchor,
                    settled: anchor - TimeDelta::seconds(1),
                }
            }
            (_, last_fire) => Self {
                anchor: last_fire.unwrap_or(first_seen),
                settled: last_fire.map_or(first_seen, |last| last.max(first_seen)),
            },
        }
    }

    /// Settles all fire times up to `fire_time`, inclusive.
    pub fn settle(&mut self, fire_time: DateTime<Utc>) {
        self.settled = self.settled.max(fire_time);
    }

    /// The next fire time of an entry with this timing, due or not.
    pub fn next(&self, timing: &Timing) -> Option<DateTime<Utc>> {
        timing.next_after(self.anchor, self.settled)
    }
}

/// What to do about an entry now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Fire for this fire time, then settle it and ask again.
    Fire(DateTime<Utc>),
    /// Give up the fire times from `first` to `last`, inclusive, then settle `last` and ask again.
    Missed {
        /// The oldest of them.
        first: DateTime<Utc>,
        /// An instant not before the newest of them, and before the next one to fire.
        last: DateTime<Utc>,
    },
    /// Nothing is due. `until` is the next fire time; `None`: it never fires again by itself.
    Wait {
        /// The next fire time.
        until: Option<DateTime<Utc>>,
    },
}

/// Decides the next step for `entry`. The same arguments always give the same answer.
pub fn decide(entry: &Entry, progress: Progress, now: DateTime<Utc>) -> Decision {
    let now = now.trunc_subsecs(0);
    let Some(next) = progress.next(&entry.timing) else {
        return Decision::Wait { until: None };
    };
    if next > now {
        return Decision::Wait { until: Some(next) };
    }
    let second = TimeDelta::seconds(1);
    let due_after = |after: DateTime<Utc>| {
        let after = after.max(progress.settled);
        let at = entry.timing.next_after(progress.anchor, after)?;
        (at <= now).then_some(at)
    };
    let on_time = now - GRACE - second;
    let in_window = (now - entry.catch_up.window - second).min(on_time);
    let kept = match entry.catch_up.policy {
        CatchUpPolicy::All => due_after(in_window),
        CatchUpPolicy::None => due_after(on_time),
        CatchUpPolicy::Latest => {
            due_after(on_time).or_else(|| newest(due_after, in_window.max(progress.settled), now))
        }
    };
    match kept {
        Some(at) if at == next => Decision::Fire(at),
        Some(at) => Decision::Missed {
            first: next,
            last: at - second,
        },
        None => Decision::Missed {
            first: next,
            last: now,
        },
    }
}

/// The fire time that fires next as things stand at `now`, be it due or still to come.
pub fn next_to_fire(
    entry: &Entry,
    mut progress: Progress,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    loop {
        match decide(entry, progress, now) {
            Decision::Fire(at) => return Some(at),
            Decision::Missed { last, .. } => progress.settle(last),
            Decision::Wait { until } => return until,
        }
    }
}

/// The newest fire time later than `bound` that `due_after` knows, found from `now` backwards so
/// that a dense timing with a wide window costs no more than a sparse one.
fn newest(
    due_after: impl Fn(DateTime<Utc>) -> Option<DateTime<Utc>>,
    bound: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let mut reach = TimeDelta::seconds(1);
    loop {
        let after = (now - reach).max(bound);
        if let Some(found) = due_after(after) {
            return std::iter::successors(Some(found), |&at| due_after(at)).last();
        }
        if after == bound {
            return None;
        }
        reach = reach * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{entry::CatchUp, every::Every, job::Job};

    /// An entry each `interval` seconds with a window of 300 s.
    fn entry(interval: i64, policy: CatchUpPolicy) -> Entry {
        Entry {
            name: "e".into(),
            timing: Timing::Every(Every::new(TimeDelta::seconds(interval), None).unwrap()),
            job: Job::new("C".into(), "q".into(), "[]", false),
            catch_up: CatchUp {
                policy,
                window: TimeDelta::seconds(300),
            },
            description: None,
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// All fire times and all gaps, from a last fire at 0 until nothing is due at `now`.
    fn settle_all(entry: &Entry, now: DateTime<Utc>) -> (Vec<i64>, Vec<(i64, i64)>) {
        let (mut fired, mut missed) = (vec![], vec![]);
        let history = History {
            first_seen: at(0),
            last_fire: Some(at(0)),
        };
        let mut progress = Progress::resume(&entry.timing, history);
        loop {
            match decide(entry, progress, now) {
                Decision::Fire(fire_time) => {
                    fired.push(fire_time.timestamp());
                    progress.settle(fire_time);
                }
                Decision::Missed { first, last } => {
                    missed.push((first.timestamp(), last.timestamp()));
                    progress.settle(last);
                }
                Decision::Wait { until } => {
                    assert!(until.unwrap() > now);
                    return (fired, missed);
                }
            }
        }
    }

    #[track_caller]
    fn case(interval: i64, policy: CatchUpPolicy, now: i64, fired: &[i64], missed: &[(i64, i64)]) {
        let now = at(now) + TimeDelta::milliseconds(900);
        let settled = settle_all(&entry(interval, policy), now);
        assert_eq!(settled, (fired.to_vec(), missed.to_vec()));
    }

    #[test]
    fn what_is_on_time_fires_under_every_policy() {
        for policy in [
            CatchUpPolicy::Latest,
            CatchUpPolicy::All,
            CatchUpPolicy::None,
        ] {
            case(60, policy, 59, &[], &[]);
            case(60, policy, 60, &[60], &[]);
            case(60, policy, 65, &[60], &[]);
            case(1, policy, 3, &[1, 2, 3], &[]);
        }
    }

    #[test]
    fn latest_fires_the_newest_missed_one_within_the_window() {
        let latest = CatchUpPolicy::Latest;
        case(60, latest, 200, &[180], &[(60, 179)]);
        case(60, latest, 183, &[180], &[(60, 179)]);
        case(1000, latest, 1300, &[1000], &[]);
        case(1000, latest, 1301, &[], &[(1000, 1301)]);
        case(7, latest, 1_000_000, &[999_999], &[(7, 999_998)]);
    }

    #[test]
    fn all_fires_each_missed_one_within_the_window() {
        let all = CatchUpPolicy::All;
        case(60, all, 200, &[60, 120, 180], &[]);
        case(60, all, 480, &[180, 240, 300, 360, 420, 480], &[(60, 179)]);
        case(1000, all, 1301, &[], &[(1000, 1301)]);
    }

    #[test]
    fn none_skips_whatever_was_missed() {
        let none = CatchUpPolicy::None;
        case(60, none, 70, &[], &[(60, 70)]);
        case(60, none, 122, &[120], &[(60, 119)]);
    }

    #[test]
    fn an_entry_never_seen_before_has_missed_nothing() {
        let timing = entry(60, CatchUpPolicy::All).timing;
        let resume = |first_seen, last_fire: Option<i64>| {
            let history = History {
                first_seen: at(first_seen) + TimeDelta::milliseconds(500),
                last_fire: last_fire.map(at),
            };
            Progress::resume(&timing, history).next(&timing)
        };
        assert_eq!(resume(1000, None), Some(at(1060)));
        // Fired long ago, taken out, and back since 1000: the rhythm holds, the gap is forgotten.
        assert_eq!(resume(1000, Some(10)), Some(at(1030)));
        assert_eq!(resume(10, Some(1000)), Some(at(1060)));
    }

    #[test]
    fn a_clock_that_went_back_waits_for_the_time_it_had_settled() {
        let entry = entry(60, CatchUpPolicy::All);
        let history = History {
            first_seen: at(0),
            last_fire: Some(at(3600)),
        };
        let progress = Progress::resume(&entry.timing, history);
        let wait = Decision::Wait {
            until: Some(at(3660)),
        };
        assert_eq!(decide(&entry, progress, at(60)), wait);
    }
}

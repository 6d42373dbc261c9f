//! Which fire is next, and what becomes of those that were missed. Pure: `now` is an argument.
//!
//! A fire time is *due* once it, and the delay by which jitter moves it, is not later than now. It is
//! *on time* for the whole of the jitter and [`GRACE`] after, and *missed* from then on: the entry's
//! catch-up policy decides about it (DESIGN, law 5).

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::{
    entry::{CatchUpPolicy, Entry},
    timing::{Pattern, Timing},
};

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
    /// How many fires there were since `first_seen`.
    pub fires: u32,
    /// When another scheduler, with a memory of its own, enqueued it last. What was due until then
    /// was that one's.
    pub enqueued_elsewhere: Option<DateTime<Utc>>,
}

impl History {
    /// Since when the entry can have missed something. One that another scheduler enqueued, and we
    /// never did, is not new: it goes on from there, in its rhythm. Bounds are counted anew, as the
    /// other one counts them from its own start.
    fn since(&self, timing: &Timing) -> DateTime<Utc> {
        let repeats = matches!(timing.pattern, Pattern::Cron { .. } | Pattern::Every(_));
        match (self.last_fire, self.enqueued_elsewhere) {
            (None, Some(at)) if repeats && timing.first.is_none() && timing.last.is_none() => {
                self.first_seen.min(at)
            }
            _ => self.first_seen,
        }
    }
}

/// How far an entry has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What intervals are counted from.
    anchor: DateTime<Utc>,
    /// A fire that is not the pattern's, unless it is settled.
    first: Option<DateTime<Utc>>,
    /// All fire times up to here, inclusive, are fired or given up.
    settled: DateTime<Utc>,
    /// No fire at or after it.
    end: Option<DateTime<Utc>>,
    /// How many fires are left.
    left: Option<u32>,
}

impl Progress {
    /// Takes up an entry where its history ends.
    pub fn resume(timing: &Timing, history: History) -> Self {
        let second = TimeDelta::seconds(1);
        let first_seen = history.since(timing).trunc_subsecs(0);
        let settled = history
            .last_fire
            .map_or(first_seen, |last| last.max(first_seen));
        let first = match history.last_fire {
            // Its rhythm goes on; only a first fire that the user named may still be to come.
            Some(_) => timing
                .first
                .and(timing.first_fire(first_seen))
                .or(match timing.pattern {
                    Pattern::Once(moment) => Some(moment.instant(first_seen)),
                    _ => None,
                }),
            None => timing.first_fire(first_seen),
        };
        // Nothing comes before the first fire, which itself may be at the moment it was first seen.
        let earliest = match history.last_fire {
            Some(last) if last >= first_seen => last + second,
            _ => first_seen,
        };
        let ahead = first.filter(|first| *first >= earliest);
        let settled = ahead.map_or(settled, |first| first - second);
        let settled = timing
            .starts_at
            .map_or(settled, |start| settled.max(start - second));
        let settled = history
            .enqueued_elsewhere
            .map_or(settled, |at| settled.max(at));
        // Where the user names a start and no first fire, intervals are counted from it for ever.
        let start = timing.starts_at.filter(|_| timing.first.is_none());
        let anchor = ahead.or(start).or(history.last_fire).or(first);
        Self {
            anchor: anchor.unwrap_or(first_seen),
            first,
            settled,
            end: timing.end(first_seen),
            left: timing
                .times
                .map(|times| times.saturating_sub(history.fires)),
        }
    }

    /// Settles all fire times up to `fire_time`, inclusive.
    pub fn settle(&mut self, fire_time: DateTime<Utc>) {
        self.settled = self.settled.max(fire_time);
    }

    /// Settles as fired what [`decide`] said to fire.
    pub fn fired(&mut self, fire_time: DateTime<Utc>) {
        self.settle(fire_time);
        self.left = self.left.map(|left| left.saturating_sub(1));
    }

    /// Takes note that none of its `times` is left.
    pub fn had_all(&mut self) {
        self.left = Some(0);
    }

    /// The next fire time of an entry with this timing, due or not.
    pub fn next(&self, timing: &Timing) -> Option<DateTime<Utc>> {
        self.next_after(timing, self.settled)
    }

    /// The first fire time later than `after`, which is not before what is settled.
    fn next_after(&self, timing: &Timing, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let first = self.first.filter(|first| *first > after);
        let next = first.or_else(|| timing.pattern.next_after(self.anchor, after))?;
        let over = self.left == Some(0) || self.end.is_some_and(|end| next >= end);
        (!over).then_some(next)
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
    /// Nothing is due.
    Wait {
        /// The next fire time; `None`: it never fires again by itself.
        next: Option<DateTime<Utc>>,
    },
}

/// Decides the next step for `entry`. The same arguments always give the same answer.
pub fn decide(entry: &Entry, progress: Progress, now: DateTime<Utc>) -> Decision {
    let Some(next) = progress.next(&entry.timing) else {
        return Decision::Wait { next: None };
    };
    if entry.due_at(next) > now {
        return Decision::Wait { next: Some(next) };
    }
    let second = TimeDelta::seconds(1);
    // A fire time may be as late as its jitter without being late at all.
    let whole = now.trunc_subsecs(0) - entry.timing.jitter;
    let missed_until = whole - GRACE - second;
    if next > missed_until {
        return Decision::Fire(next);
    }
    let after =
        |after: DateTime<Utc>| progress.next_after(&entry.timing, after.max(progress.settled));
    let missed_after = |bound| after(bound).filter(|at| *at <= missed_until);
    let window = whole - entry.catch_up.window - second;
    let caught_up = match entry.catch_up.policy {
        CatchUpPolicy::All => missed_after(window),
        // One that is on time is newer.
        CatchUpPolicy::Latest if after(missed_until).is_some_and(|at| at <= now) => None,
        CatchUpPolicy::Latest => newest(missed_after, window.max(progress.settled), missed_until),
        CatchUpPolicy::None => None,
    };
    match caught_up {
        Some(at) if at == next => Decision::Fire(at),
        at => Decision::Missed {
            first: next,
            last: at.map_or(missed_until, |at| at - second),
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
            Decision::Wait { next } => return next,
        }
    }
}

/// The newest fire time later than `bound` that `missed_after` knows, found from `until` backwards,
/// so that a dense timing with a wide window costs no more than a sparse one.
fn newest(
    missed_after: impl Fn(DateTime<Utc>) -> Option<DateTime<Utc>>,
    bound: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let mut reach = TimeDelta::seconds(1);
    loop {
        let after = (until - reach).max(bound);
        if let Some(found) = missed_after(after) {
            return std::iter::successors(Some(found), |&at| missed_after(at)).last();
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
    use crate::core::{entry::CatchUp, every::Every, guard::Guard, job::Job, timing::Moment};

    fn every(interval: i64) -> Timing {
        Timing::of(Pattern::Every(
            Every::new(TimeDelta::seconds(interval)).unwrap(),
        ))
    }

    /// An entry each `interval` seconds with a window of 300 s.
    fn entry(interval: i64, policy: CatchUpPolicy) -> Entry {
        Entry {
            name: "e".into(),
            timing: every(interval),
            job: Job::new("C".into(), "q".into(), "[]", false),
            catch_up: CatchUp {
                policy,
                window: TimeDelta::seconds(300),
            },
            guard: Guard::default(),
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
            fires: 0,
            enqueued_elsewhere: None,
        };
        let mut progress = Progress::resume(&entry.timing, history);
        loop {
            match decide(entry, progress, now) {
                Decision::Fire(fire_time) => {
                    fired.push(fire_time.timestamp());
                    progress.fired(fire_time);
                }
                Decision::Missed { first, last } => {
                    missed.push((first.timestamp(), last.timestamp()));
                    progress.settle(last);
                }
                Decision::Wait { next } => {
                    assert!(next.is_none_or(|next| entry.due_at(next) > now));
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
        case(60, latest, 183, &[180], &[(60, 177)]);
        case(1000, latest, 1300, &[1000], &[]);
        case(1000, latest, 1301, &[], &[(1000, 1295)]);
        case(7, latest, 1_000_000, &[999_999], &[(7, 999_994)]);
    }

    #[test]
    fn all_fires_each_missed_one_within_the_window() {
        let all = CatchUpPolicy::All;
        case(60, all, 200, &[60, 120, 180], &[]);
        case(60, all, 480, &[180, 240, 300, 360, 420, 480], &[(60, 179)]);
        case(1000, all, 1301, &[], &[(1000, 1295)]);
    }

    #[test]
    fn none_skips_whatever_was_missed() {
        let none = CatchUpPolicy::None;
        case(60, none, 70, &[], &[(60, 64)]);
        case(60, none, 122, &[120], &[(60, 116)]);
    }

    #[test]
    fn an_entry_never_seen_before_has_missed_nothing() {
        let timing = entry(60, CatchUpPolicy::All).timing;
        let resume = |first_seen, last_fire: Option<i64>| {
            let history = History {
                first_seen: at(first_seen) + TimeDelta::milliseconds(500),
                last_fire: last_fire.map(at),
                fires: 0,
                enqueued_elsewhere: None,
            };
            Progress::resume(&timing, history).next(&timing)
        };
        assert_eq!(resume(1000, None), Some(at(1060)));
        // Fired long ago, taken out, and back since 1000: the rhythm holds, the gap is forgotten.
        assert_eq!(resume(1000, Some(10)), Some(at(1030)));
        assert_eq!(resume(10, Some(1000)), Some(at(1060)));
    }

    #[test]
    fn an_entry_that_another_scheduler_enqueued_goes_on_in_its_rhythm() {
        let next = |timing: &Timing, last_fire: Option<i64>| {
            let history = History {
                first_seen: at(1000),
                last_fire: last_fire.map(at),
                fires: 0,
                enqueued_elsewhere: Some(at(910)),
            };
            Progress::resume(timing, history).next(timing)
        };
        let mut timing = every(60);
        assert_eq!(next(&timing, None), Some(at(970)));
        assert_eq!(next(&timing, Some(1020)), Some(at(1080)));
        timing.first = Some(Moment::In(TimeDelta::seconds(5)));
        assert_eq!(next(&timing, None), Some(at(1005)));
    }

    #[test]
    fn a_clock_that_went_back_waits_for_the_time_it_had_settled() {
        let entry = entry(60, CatchUpPolicy::All);
        let history = History {
            first_seen: at(0),
            last_fire: Some(at(3600)),
            fires: 0,
            enqueued_elsewhere: None,
        };
        let progress = Progress::resume(&entry.timing, history);
        let wait = Decision::Wait {
            next: Some(at(3660)),
        };
        assert_eq!(decide(&entry, progress, at(60)), wait);
    }

    /// The first fires of an hourly entry that was first seen at 10,000, as `bound` bounds it.
    fn bounded(last_fire: Option<i64>, fires: u32, bound: impl Fn(&mut Timing)) -> Vec<i64> {
        let mut timing = every(3600);
        bound(&mut timing);
        let history = History {
            first_seen: at(10_000),
            last_fire: last_fire.map(at),
            fires,
            enqueued_elsewhere: None,
        };
        let mut progress = Progress::resume(&timing, history);
        let next = || {
            let next = progress.next(&timing)?;
            progress.fired(next);
            Some(next.timestamp())
        };
        std::iter::from_fn(next).take(3).collect()
    }

    #[test]
    fn the_first_fire_is_where_it_was_named_or_one_interval_on() {
        let first = |last_fire, moment| bounded(last_fire, 0, |timing| timing.first = Some(moment));
        assert_eq!(bounded(None, 0, |_| {}), [13_600, 17_200, 20_800]);
        let soon = Moment::In(TimeDelta::seconds(60));
        assert_eq!(first(None, soon), [10_060, 13_660, 17_260]);
        assert_eq!(
            first(None, Moment::In(TimeDelta::zero()))[0],
            10_000,
            "at once"
        );
        assert_eq!(
            first(Some(10_060), soon)[0],
            13_660,
            "not again after a restart"
        );
        let at_once = Moment::In(TimeDelta::zero());
        assert_eq!(first(Some(9_000), at_once)[0], 10_000);
        assert_eq!(
            first(Some(9_000), soon)[0],
            10_060,
            "its timing is new, the old rhythm is not"
        );
        assert_eq!(first(None, Moment::At(at(50_000)))[0], 50_000);
        assert_eq!(
            first(None, Moment::At(at(1_000)))[0],
            11_800,
            "long ago, and still the anchor"
        );
    }

    #[test]
    fn a_start_and_an_end_bound_the_fires() {
        let start = |start| bounded(None, 0, |timing| timing.starts_at = Some(at(start)));
        assert_eq!(start(20_000), [20_000, 23_600, 27_200]);
        assert_eq!(start(9_000)[0], 12_600, "counted from it");
        let last = |last| bounded(None, 0, |timing| timing.last = Some(last));
        assert_eq!(last(Moment::At(at(17_200))), [13_600], "exclusive");
        assert_eq!(
            last(Moment::In(TimeDelta::seconds(7_201))),
            [13_600, 17_200]
        );
        assert_eq!(
            bounded(None, 0, |timing| timing.ends_at = Some(at(13_600))),
            [0; 0]
        );
    }

    #[test]
    fn so_many_times_and_no_more() {
        let times = |fires| bounded(Some(13_600), fires, |timing| timing.times = Some(3));
        assert_eq!(times(1), [17_200, 20_800]);
        assert_eq!(times(3), [0; 0]);
    }

    #[test]
    fn once_is_once() {
        let once = |last_fire, moment| {
            bounded(last_fire, 0, |timing| {
                timing.pattern = Pattern::Once(moment);
            })
        };
        assert_eq!(once(None, Moment::At(at(20_000))), [20_000]);
        assert_eq!(once(Some(20_000), Moment::At(at(20_000))), [0; 0]);
        assert_eq!(
            once(None, Moment::At(at(5_000))),
            [0; 0],
            "it was never seen before it"
        );
        assert_eq!(once(None, Moment::In(TimeDelta::seconds(60))), [10_060]);
        assert_eq!(
            once(Some(10_060), Moment::In(TimeDelta::seconds(60))),
            [0; 0]
        );
    }

    #[test]
    fn jitter_wider_than_the_interval_gives_up_no_fire_that_is_on_time() {
        let mut entry = entry(20, CatchUpPolicy::Latest);
        entry.timing.jitter = TimeDelta::seconds(60);
        for now in (300..400).map(at) {
            let (fired, missed) = settle_all(&entry, now);
            let given_up = missed.last().map_or(0, |(_, last)| *last);
            let on_time = (now - GRACE - entry.timing.jitter).timestamp();
            assert!(given_up < on_time, "{now}: {fired:?} {missed:?}");
        }
    }

    #[test]
    fn a_fire_that_jitter_delays_is_neither_early_nor_missed() {
        let mut entry = entry(60, CatchUpPolicy::None);
        entry.timing.jitter = TimeDelta::seconds(30);
        let due = entry.due_at(at(60));
        let early = due - TimeDelta::milliseconds(1);
        assert_eq!(settle_all(&entry, early).0, [0; 0]);
        assert_eq!(settle_all(&entry, due).0, [60]);
        assert_eq!(settle_all(&entry, at(90) + GRACE).0, [60]);
        assert_eq!(settle_all(&entry, at(97)), (vec![], vec![(60, 61)]));
    }
}

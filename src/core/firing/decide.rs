//! What becomes of an entry now: it fires, it has missed fires, or it waits.
//!
//! A fire time is *due* when it, plus the delay of its jitter, is not later than now. A fire is *on time* for the
//! length of the jitter and [`GRACE`] after it, and *missed* from then on: the entry's catch-up policy decides
//! about it (docs/design.md, law 5).

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::core::{
    firing::history::Progress,
    schedule::entry::{CatchUpPolicy, Entry},
    time::instant,
};

/// A fire no later than this is on time whatever the catch-up policy says. A hiccup is no gap;
/// resque-scheduler, which polls every 5 s, is as late on a good day.
pub const GRACE: TimeDelta = TimeDelta::seconds(5);

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

/// Whether a fire for `fire_time` is not on time any more at `now`.
pub fn is_missed(entry: &Entry, fire_time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    fire_time <= missed_until(entry, now)
}

/// The newest time whose fire is missed at `now`. A fire may be as late as its jitter without being late at all.
fn missed_until(entry: &Entry, now: DateTime<Utc>) -> DateTime<Utc> {
    let whole = instant::before(now.trunc_subsecs(0), entry.timing.bounds().jitter);
    instant::before(whole, GRACE + TimeDelta::seconds(1))
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
    let missed_until = missed_until(entry, now);
    if next > missed_until {
        return Decision::Fire(next);
    }
    let after = |after: DateTime<Utc>| progress.next_after(&entry.timing, after);
    let missed_after = |bound| after(bound).filter(|at| *at <= missed_until);
    let window = instant::before(missed_until, entry.catch_up.window - GRACE);
    let caught_up = match entry.catch_up.policy {
        CatchUpPolicy::All => missed_after(window),
        // A fire that is on time is newer than any missed one.
        CatchUpPolicy::Latest if after(missed_until).is_some_and(|at| at <= now) => None,
        CatchUpPolicy::Latest => newest(missed_after, window, missed_until),
        CatchUpPolicy::None => None,
    };
    match caught_up {
        Some(at) if at == next => Decision::Fire(at),
        at => Decision::Missed {
            first: next,
            last: at.map_or(missed_until, |at| instant::before(at, second)),
        },
    }
}

/// Returns the last fire time from `first` to `last`, inclusive, of an entry that has come as far as `progress`, and
/// how many there are; `None` if these are more than `most`. `first` is one of them.
pub fn counted(
    entry: &Entry,
    progress: Progress,
    (first, last): (DateTime<Utc>, DateTime<Utc>),
    most: u32,
) -> (DateTime<Utc>, Option<u32>) {
    let after = |after: DateTime<Utc>| progress.next_after(&entry.timing, after);
    let until_last = |bound| after(bound).filter(|at| *at <= last);
    let (mut count, mut at) = (1, first);
    while let Some(next) = until_last(at) {
        if count >= most {
            return (newest(until_last, at, last).unwrap_or(at), None);
        }
        (count, at) = (count + 1, next);
    }
    (at, Some(count))
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
            Decision::Missed { last, .. } => progress.advance_to(last),
            Decision::Wait { next } => return next,
        }
    }
}

/// Returns the newest fire time later than `bound` that `missed_after` knows; there is none later than `until`.
/// Halves the span, so that neither a dense timing with a wide window nor one that ended long ago takes longer.
fn newest(
    missed_after: impl Fn(DateTime<Utc>) -> Option<DateTime<Utc>>,
    bound: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let (mut low, mut high, mut newest) = (bound, until, None);
    while high - low >= TimeDelta::seconds(1) {
        let middle = low + (high - low) / 2;
        match missed_after(middle) {
            Some(found) => {
                newest = Some(found);
                low = found;
            }
            None => high = middle,
        }
    }
    missed_after(low).or(newest)
}

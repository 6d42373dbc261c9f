//! Decides what an entry does now: it fires, it has missed fires, or it waits.
//!
//! A fire is *due* when its fire time plus the delay of its jitter has come. A fire is *on time* until its fire time
//! plus the longest jitter plus [`GRACE`]. After that it is *missed*, and the entry's catch-up policy decides whether
//! it is still enqueued (docs/design.md, law 5).

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::core::{
    firing::history::Progress,
    schedule::entry::{CatchUpPolicy, Entry},
    time::instant,
};

/// How late a fire can be and still be on time, under every catch-up policy.
///
/// resque-scheduler polls every 5 s, so its fires are as late as this in normal operation.
pub const GRACE: TimeDelta = TimeDelta::seconds(5);

/// What an entry does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Fire for this fire time, record it in the [`Progress`], and decide again.
    Fire(DateTime<Utc>),
    /// The fires from `first` to `last`, inclusive, are missed and not caught up. Advance the [`Progress`] to `last`
    /// and decide again.
    Missed {
        /// The oldest missed fire time.
        first: DateTime<Utc>,
        /// An instant at or after the newest missed fire time, and before the next fire time that fires.
        last: DateTime<Utc>,
    },
    /// Nothing is due.
    Wait {
        /// The next fire time. `None` if the entry never fires again on its own.
        next: Option<DateTime<Utc>>,
    },
}

/// Whether the fire for `fire_time` is too late at `now` to be on time.
pub fn is_missed(entry: &Entry, fire_time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    fire_time <= missed_until(entry, now)
}

/// Returns the newest fire time that is missed at `now`.
///
/// The longest jitter is subtracted because jitter may delay a fire by as much on purpose.
fn missed_until(entry: &Entry, now: DateTime<Utc>) -> DateTime<Utc> {
    let whole = instant::before(now.trunc_subsecs(0), entry.timing.bounds().jitter);
    instant::before(whole, GRACE + TimeDelta::seconds(1))
}

/// Decides what `entry` does at `now`. The same arguments always give the same decision.
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
        // A fire that is on time is due too, and it is newer than any missed fire.
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

/// Returns the last fire time from `first` to `last`, inclusive, and the number of fire times in that range.
///
/// `first` must be a fire time. The number is `None` if it is larger than `most`.
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

/// Returns the fire time that the entry fires for next, if it is decided at `now`: one that is due, or a later one.
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

/// Returns the newest fire time later than `bound` that `missed_after` finds. No such fire time is later than `until`.
///
/// Uses a binary search, so that a dense timing with a wide window, or a timing that ended long ago, takes no longer.
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

//! Which fire is next, and what becomes of those that were missed. Pure: `now` is an argument.
//!
//! A fire time is *due* once it, and the delay by which jitter moves it, is not later than now. It is
//! *on time* for the whole of the jitter and [`GRACE`] after, and *missed* from then on: the entry's
//! catch-up policy decides about it (docs/design.md, law 5).

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::core::{
    entry::{CatchUpPolicy, Entry},
    instant,
    timing::{Bounds, Pattern, Timing},
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
    /// When it returned to the schedule after it was out of it. It has missed nothing from before.
    pub returned: Option<DateTime<Utc>>,
    /// When another scheduler, with a memory of its own, enqueued it last. What was due until then
    /// was that one's.
    pub enqueued_elsewhere: Option<DateTime<Utc>>,
}

impl History {
    /// Since when the entry can have missed something. One that another scheduler enqueued, and we
    /// never did, goes on from there, in its rhythm, whenever we first saw it. Bounds are counted anew, as the
    /// other one counts them from its own start.
    fn since(&self, timing: &Timing) -> DateTime<Utc> {
        let repeats = matches!(timing.pattern, Pattern::Cron { .. } | Pattern::Every(_));
        let Bounds { first, last, .. } = timing.bounds();
        match (self.last_fire, self.enqueued_elsewhere) {
            (None, Some(at)) if repeats && first.is_none() && last.is_none() => at,
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
        let bounds = timing.bounds();
        let first = match history.last_fire {
            // Its rhythm goes on; only a first fire that the user named may still be to come.
            Some(_) => bounds
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
            Some(last) if last >= first_seen => instant::after(last, second),
            _ => first_seen,
        };
        let ahead = first.filter(|first| *first >= earliest);
        let settled = ahead.map_or(settled, |first| instant::before(first, second));
        let settled = bounds
            .starts_at
            .map_or(settled, |start| settled.max(instant::before(start, second)));
        let others = [history.enqueued_elsewhere, history.returned];
        let settled = others.into_iter().flatten().fold(settled, Ord::max);
        // Where the user names a start and no first fire, intervals are counted from it for ever.
        let start = bounds.starts_at.filter(|_| bounds.first.is_none());
        // Else from the last fire, whichever scheduler enqueued it.
        let last = history.last_fire;
        let last = last.map(|last| history.enqueued_elsewhere.map_or(last, |at| at.max(last)));
        let anchor = ahead.or(start).or(last).or(first);
        Self {
            anchor: anchor.unwrap_or(first_seen),
            first,
            settled,
            end: timing.end(first_seen),
            left: bounds
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
    let after =
        |after: DateTime<Utc>| progress.next_after(&entry.timing, after.max(progress.settled));
    let missed_after = |bound| after(bound).filter(|at| *at <= missed_until);
    let window = instant::before(missed_until, entry.catch_up.window - GRACE);
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
            last: at.map_or(missed_until, |at| instant::before(at, second)),
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

#[cfg(test)]
mod tests;

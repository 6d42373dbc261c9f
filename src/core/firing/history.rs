//! What is remembered of an entry, and where it continues from there.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::core::time::{
    instant,
    timing::{Bounds, Recurrence, Timing},
};

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
        let repeats = matches!(
            timing.recurrence,
            Recurrence::Cron { .. } | Recurrence::Every(_)
        );
        let Bounds { first, last, .. } = timing.bounds();
        match (self.last_fire, self.enqueued_elsewhere) {
            (None, Some(at)) if repeats && first.is_none() && last.is_none() => at,
            _ => self.first_seen,
        }
    }
}

impl History {
    /// Nothing fires before it: the first fire may be at the moment of first sight, and what follows a fire is later.
    fn earliest(&self, first_seen: DateTime<Utc>) -> DateTime<Utc> {
        match self.last_fire {
            Some(last) if last >= first_seen => instant::after(last, TimeDelta::seconds(1)),
            _ => first_seen,
        }
    }
}

/// The first fire, where it is not one of the recurrence.
fn first_fire(
    timing: &Timing,
    first_seen: DateTime<Utc>,
    last_fire: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    if last_fire.is_none() {
        return timing.first_fire(first_seen);
    }
    // Its rhythm goes on; only a first fire that the user named may still be to come.
    let named = timing.bounds().first.and(timing.first_fire(first_seen));
    named.or(match timing.recurrence {
        Recurrence::Once(moment) => Some(moment.instant(first_seen)),
        _ => None,
    })
}

/// Up to when all fire times are settled. `ahead`: the first fire, if it is still to come.
fn settled(
    timing: &Timing,
    history: &History,
    first_seen: DateTime<Utc>,
    ahead: Option<DateTime<Utc>>,
) -> DateTime<Utc> {
    let before = |at| instant::before(at, TimeDelta::seconds(1));
    let fired = history
        .last_fire
        .map_or(first_seen, |last| last.max(first_seen));
    // Nothing comes before the first fire, or before the start.
    let begin = ahead.map_or(fired, before);
    let start = timing.bounds().starts_at.map(before);
    let others = [start, history.enqueued_elsewhere, history.returned];
    others.into_iter().flatten().fold(begin, Ord::max)
}

/// What intervals are counted from.
fn anchor(
    timing: &Timing,
    history: &History,
    first: Option<DateTime<Utc>>,
    ahead: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    let bounds = timing.bounds();
    // Where the user names a start and no first fire, intervals are counted from it for ever.
    let start = bounds.starts_at.filter(|_| bounds.first.is_none());
    // Else from the last fire, whichever scheduler enqueued it.
    let elsewhere = history.enqueued_elsewhere;
    let last = history
        .last_fire
        .map(|last| elsewhere.map_or(last, |at| at.max(last)));
    ahead.or(start).or(last).or(first)
}

/// How far an entry has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What intervals are counted from.
    anchor: DateTime<Utc>,
    /// A fire that is not the recurrence's, unless it is settled.
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
    ///
    /// | its history | the first fire, if the timing names one | fires from | intervals are counted from |
    /// | --- | --- | --- | --- |
    /// | it was seen, and never fired | is to come | first sight | the first fire; else first sight |
    /// | it has fired | is to come only if it is later than the last fire | the last fire | `starts_at`; else the last fire |
    /// | another scheduler enqueued it later | as above | when that one did | the later one of the two |
    /// | it returned to the schedule | as above | its return | as above |
    pub fn resume(timing: &Timing, history: History) -> Self {
        let first_seen = history.since(timing).trunc_subsecs(0);
        let first = first_fire(timing, first_seen, history.last_fire);
        let ahead = first.filter(|first| *first >= history.earliest(first_seen));
        let times = timing.bounds().times;
        Self {
            anchor: anchor(timing, &history, first, ahead).unwrap_or(first_seen),
            first,
            settled: settled(timing, &history, first_seen, ahead),
            end: timing.end(first_seen),
            left: times.map(|times| times.saturating_sub(history.fires)),
        }
    }

    /// Settles all fire times up to `fire_time`, inclusive.
    pub fn advance_to(&mut self, fire_time: DateTime<Utc>) {
        self.settled = self.settled.max(fire_time);
    }

    /// Settles as fired what [`crate::core::firing::decide::decide`] said to fire.
    pub fn fired(&mut self, fire_time: DateTime<Utc>) {
        self.advance_to(fire_time);
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

    /// Returns the first fire time that is later than `after` and not settled.
    pub(super) fn next_after(
        &self,
        timing: &Timing,
        after: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let after = after.max(self.settled);
        let first = self.first.filter(|first| *first > after);
        let next = first.or_else(|| timing.recurrence.next_after(self.anchor, after))?;
        let over = self.left == Some(0) || self.end.is_some_and(|end| next >= end);
        (!over).then_some(next)
    }
}

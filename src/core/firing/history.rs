//! The recorded history of an entry, and where the entry continues after it.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::core::time::{
    instant,
    timing::{Bounds, Recurrence, Timing},
};

/// What is known about the past fires of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// When a leader first saw this entry with this timing. Earlier fire times are not missed.
    pub first_seen: DateTime<Utc>,
    /// The last fire time that was enqueued.
    pub last_fire: Option<DateTime<Utc>>,
    /// Number of fires since `first_seen`.
    pub fires: u32,
    /// When the entry returned to the schedule after it had been removed. Earlier fire times are not missed.
    pub returned: Option<DateTime<Utc>>,
    /// When a scheduler that keeps its own records (resque-scheduler) last enqueued the entry. Fire times until then
    /// were that scheduler's.
    pub enqueued_elsewhere: Option<DateTime<Utc>>,
}

impl History {
    /// Returns the instant since which the entry can have missed fires.
    ///
    /// If another scheduler has enqueued the entry and this one never has, the entry continues from the last fire of
    /// the other scheduler. An entry with `first` or `last` counts from its first sight instead, because the other
    /// scheduler counts these bounds from its own start.
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
    /// Returns the earliest possible next fire: at first sight, or one second after the last fire.
    fn earliest(&self, first_seen: DateTime<Utc>) -> DateTime<Utc> {
        match self.last_fire {
            Some(last) if last >= first_seen => instant::after(last, TimeDelta::seconds(1)),
            _ => first_seen,
        }
    }
}

/// Returns the first fire, if the recurrence alone does not give it.
fn first_fire(
    timing: &Timing,
    first_seen: DateTime<Utc>,
    last_fire: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    if last_fire.is_none() {
        return timing.first_fire(first_seen);
    }
    // The entry continues in its rhythm. Only a first fire that the schedule names may still be ahead.
    let named = timing.bounds().first.and(timing.first_fire(first_seen));
    named.or(match timing.recurrence {
        Recurrence::Once(moment) => Some(moment.instant(first_seen)),
        _ => None,
    })
}

/// Returns the instant up to which all fire times are done. `ahead` is the first fire, if it has not fired yet.
fn watermark(
    timing: &Timing,
    history: &History,
    first_seen: DateTime<Utc>,
    ahead: Option<DateTime<Utc>>,
) -> DateTime<Utc> {
    let before = |at| instant::before(at, TimeDelta::seconds(1));
    let fired = history
        .last_fire
        .map_or(first_seen, |last| last.max(first_seen));
    // The entry does not fire before its first fire, or before `starts_at`.
    let begin = ahead.map_or(fired, before);
    let start = timing.bounds().starts_at.map(before);
    let others = [start, history.enqueued_elsewhere, history.returned];
    others.into_iter().flatten().fold(begin, Ord::max)
}

/// Returns the instant from which intervals are counted.
fn anchor(
    timing: &Timing,
    history: &History,
    first: Option<DateTime<Utc>>,
    ahead: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    let bounds = timing.bounds();
    // If the schedule names `starts_at` and no first fire, intervals always count from `starts_at`.
    let start = bounds.starts_at.filter(|_| bounds.first.is_none());
    // Otherwise they count from the last fire, no matter which scheduler enqueued it.
    let elsewhere = history.enqueued_elsewhere;
    let last = history
        .last_fire
        .map(|last| elsewhere.map_or(last, |at| at.max(last)));
    ahead.or(start).or(last).or(first)
}

/// The position of an entry in its fire times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The instant from which intervals are counted.
    anchor: DateTime<Utc>,
    /// The first fire, if the recurrence does not give it. It counts only while it is later than `watermark`.
    first: Option<DateTime<Utc>>,
    /// All fire times up to this instant, inclusive, are done: fired, skipped or missed.
    watermark: DateTime<Utc>,
    /// The end of the fires, exclusive.
    end: Option<DateTime<Utc>>,
    /// How many of the entry's `times` are left. `None` if the number is not limited.
    left: Option<u32>,
}

impl Progress {
    /// Returns the position at which an entry with this history continues.
    ///
    /// | history | first fire, if the timing names one | fires are later than | intervals count from |
    /// | --- | --- | --- | --- |
    /// | seen, never fired | ahead | first sight | the first fire, or else first sight |
    /// | fired | ahead only if it is later than the last fire | the last fire | `starts_at`, or else the last fire |
    /// | enqueued later by another scheduler | as above | that fire | the later one of both last fires |
    /// | returned to the schedule | as above | the return | as above |
    pub fn resume(timing: &Timing, history: History) -> Self {
        let first_seen = history.since(timing).trunc_subsecs(0);
        let first = first_fire(timing, first_seen, history.last_fire);
        let ahead = first.filter(|first| *first >= history.earliest(first_seen));
        let times = timing.bounds().times;
        Self {
            anchor: anchor(timing, &history, first, ahead).unwrap_or(first_seen),
            first,
            watermark: watermark(timing, &history, first_seen, ahead),
            end: timing.end(first_seen),
            left: times.map(|times| times.saturating_sub(history.fires)),
        }
    }

    /// Marks all fire times up to `fire_time`, inclusive, as done. They do not count towards `times`.
    pub fn advance_to(&mut self, fire_time: DateTime<Utc>) {
        self.watermark = self.watermark.max(fire_time);
    }

    /// Marks all fire times up to `fire_time`, inclusive, as done, and counts one fire towards `times`.
    pub fn fired(&mut self, fire_time: DateTime<Utc>) {
        self.advance_to(fire_time);
        self.left = self.left.map(|left| left.saturating_sub(1));
    }

    /// Sets the number of fires that are left to zero, because the entry has had all of its `times`.
    pub fn had_all(&mut self) {
        self.left = Some(0);
    }

    /// Returns the next fire time of an entry with this timing, due or not.
    pub fn next(&self, timing: &Timing) -> Option<DateTime<Utc>> {
        self.next_after(timing, self.watermark)
    }

    /// Returns the first fire time that is later than `after` and not done.
    pub(super) fn next_after(
        &self,
        timing: &Timing,
        after: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let after = after.max(self.watermark);
        let first = self.first.filter(|first| *first > after);
        let next = first.or_else(|| timing.recurrence.next_after(self.anchor, after))?;
        let over = self.left == Some(0) || self.end.is_some_and(|end| next >= end);
        (!over).then_some(next)
    }
}

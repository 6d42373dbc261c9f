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
    pub fn resume(timing: &Timing, history: History) -> Self {
        let second = TimeDelta::seconds(1);
        let first_seen = history.since(timing).trunc_subsecs(0);
        let settled = history
            .last_fire
            .map_or(first_seen, |last| last.max(first_seen));
        let bounds = timing.bounds();
        let first = match history.last_fire {
            // Its rhythm goes on; only a first fire that the user named may still be to come.
            Some(_) => {
                bounds
                    .first
                    .and(timing.first_fire(first_seen))
                    .or(match timing.recurrence {
                        Recurrence::Once(moment) => Some(moment.instant(first_seen)),
                        _ => None,
                    })
            }
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

//! Intervals: fire times at a fixed distance, anchored on a fire and never on "now".

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::duration;

/// The timing of an entry that fires at a fixed interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Every {
    interval: TimeDelta,
    first_in: Option<TimeDelta>,
}

/// Why an interval can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EveryError {
    /// Fire times are whole seconds.
    #[error("an interval is whole seconds, at least one")]
    Interval,
    /// A first fire in the past.
    #[error("the first fire is after whole seconds, zero or more")]
    First,
}

impl Every {
    /// Fires each `interval`; the very first time `first_in` after the entry was first seen, or,
    /// without it, one interval after.
    ///
    /// # Errors
    /// [`EveryError`] for anything but whole seconds, an interval below 1 s, or a negative
    /// `first_in`.
    pub fn new(interval: TimeDelta, first_in: Option<TimeDelta>) -> Result<Self, EveryError> {
        let whole = |length: TimeDelta| length.subsec_nanos() == 0;
        if !whole(interval) || interval < TimeDelta::seconds(1) {
            return Err(EveryError::Interval);
        }
        if first_in.is_some_and(|first| !whole(first) || first < TimeDelta::zero()) {
            return Err(EveryError::First);
        }
        Ok(Self { interval, first_in })
    }

    /// The first fire time of an entry first seen at `seen`.
    pub fn first_after(&self, seen: DateTime<Utc>) -> DateTime<Utc> {
        seen + self.first_in.unwrap_or(self.interval)
    }

    /// The first instant strictly later than `after` that is a whole number of intervals from
    /// `anchor` (whole seconds, both), in either direction. `None` beyond chrono's dates.
    pub fn next_after(&self, anchor: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let interval = self.interval.num_seconds();
        let elapsed = after.timestamp() - anchor.timestamp();
        let intervals = elapsed.div_euclid(interval) + 1;
        anchor.checked_add_signed(TimeDelta::try_seconds(intervals.checked_mul(interval)?)?)
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "every {}", duration::display(self.interval))?;
        if let Some(first) = self.first_in {
            write!(f, ", first in {}", duration::display(first))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn fire_times_keep_their_distance_from_the_anchor() {
        let every = Every::new(TimeDelta::seconds(30), None).unwrap();
        for (after, next) in [(0, 10), (9, 10), (10, 40), (39, 40), (1_000, 1_030)] {
            assert_eq!(
                every.next_after(at(10), at(after)),
                Some(at(next)),
                "{after}"
            );
        }
    }

    #[test]
    fn the_first_fire_waits_for_first_in_or_an_interval() {
        let every = |first| Every::new(TimeDelta::hours(1), first).unwrap();
        assert_eq!(every(None).first_after(at(5)), at(3605));
        assert_eq!(every(Some(TimeDelta::zero())).first_after(at(5)), at(5));
        assert_eq!(
            every(Some(TimeDelta::days(1))).first_after(at(5)),
            at(86_405)
        );
    }

    #[test]
    fn an_interval_is_whole_seconds() {
        let new = |ms, first: Option<i64>| {
            Every::new(
                TimeDelta::milliseconds(ms),
                first.map(TimeDelta::milliseconds),
            )
        };
        assert_eq!(new(0, None), Err(EveryError::Interval));
        assert_eq!(new(1500, None), Err(EveryError::Interval));
        assert_eq!(new(1000, Some(-1000)), Err(EveryError::First));
        assert!(new(1000, Some(0)).is_ok());
    }
}

//! Intervals: fire times at a fixed distance, counted from an earlier fire and never from the current time.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use crate::core::time::{duration, instant};

/// A fixed distance between fire times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Every {
    interval: TimeDelta,
}

/// The error for a length that is not a valid interval. Intervals are whole seconds because fire times are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an interval must be a whole number of seconds, at least one")]
pub struct EveryError;

impl Every {
    /// Creates a recurrence that fires once every `interval`.
    ///
    /// # Errors
    /// Returns [`EveryError`] if `interval` is not a whole number of seconds, or less than one second.
    pub fn new(interval: TimeDelta) -> Result<Self, EveryError> {
        let whole = interval.subsec_nanos() == 0 && interval >= TimeDelta::seconds(1);
        whole.then_some(Self { interval }).ok_or(EveryError)
    }

    /// Returns the distance between two fire times.
    pub fn interval(self) -> TimeDelta {
        self.interval
    }

    /// Returns the first instant later than `after` that is a whole number of intervals from `anchor`.
    ///
    /// `after` and `anchor` are whole seconds. `anchor` may be later than the result. Returns `None` if there is no such
    /// instant before the year 2200.
    pub fn next_after(self, anchor: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let interval = self.interval.num_seconds();
        let elapsed = after.timestamp() - anchor.timestamp();
        let intervals = elapsed.div_euclid(interval) + 1;
        let distance = TimeDelta::try_seconds(intervals.checked_mul(interval)?)?;
        let next = anchor.checked_add_signed(distance)?;
        (next < instant::END).then_some(next)
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "every {}", duration::display(self.interval))
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
        let every = Every::new(TimeDelta::seconds(30)).unwrap();
        for (after, next) in [(0, 10), (9, 10), (10, 40), (39, 40), (1_000, 1_030)] {
            assert_eq!(
                every.next_after(at(10), at(after)),
                Some(at(next)),
                "{after}"
            );
        }
    }

    #[test]
    fn an_interval_is_whole_seconds() {
        let new = |ms| Every::new(TimeDelta::milliseconds(ms));
        assert_eq!(new(0), Err(EveryError));
        assert_eq!(new(-1000), Err(EveryError));
        assert_eq!(new(1500), Err(EveryError));
        assert!(new(1000).is_ok());
    }
}

//! Compares this host's clock with Redis's, and decides whether it is accurate enough to lead.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    core::time::duration,
    engine::health::{Health, HealthPart},
    events::{Event, Events},
};

/// A clock that differs from Redis's by more than this causes a warning.
const LARGEST_SKEW: TimeDelta = TimeDelta::seconds(1);

/// Accuracy of this host's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClockState {
    Right,
    /// Differs from Redis's by more than a second.
    Skewed,
    /// Differs from Redis's by more than a leader's clock may.
    TooFarOff,
}

/// What is known about this host's clock.
pub(super) struct HostClock {
    /// Maximum difference from Redis's clock for a leader.
    max: Option<TimeDelta>,
    /// Minimum by which the clock was ahead of Redis's at the last comparison. Negative if it was behind.
    skew: Option<TimeDelta>,
    state: ClockState,
}

impl HostClock {
    /// Returns a clock that has not been compared yet.
    pub(super) fn new(max: Option<TimeDelta>) -> Self {
        Self {
            max,
            skew: None,
            state: ClockState::Right,
        }
    }

    /// Returns the minimum by which the clock was ahead of Redis's at the last comparison. Negative if it was
    /// behind.
    pub(super) fn skew(&self) -> Option<TimeDelta> {
        self.skew
    }

    /// Compares the clock with Redis's and returns by how much it is ahead, at least. `before` and `after` are this
    /// host's time before and after the call that returned the time `redis`.
    pub(super) fn compare(
        &mut self,
        before: DateTime<Utc>,
        after: DateTime<Utc>,
        redis: DateTime<Utc>,
    ) -> TimeDelta {
        let skew = skew(before, after, redis);
        self.skew = Some(skew);
        skew
    }

    /// Whether this host's clock is known to be too far off to lead.
    pub(super) fn is_too_far_off(&self) -> bool {
        self.skew.is_some() && self.may_be_too_far_off()
    }

    /// Whether this host's clock may be too far off to lead. Also true before the first comparison.
    pub(super) fn may_be_too_far_off(&self) -> bool {
        self.max
            .is_some_and(|max| self.skew.is_none_or(|skew| skew.abs() > max))
    }

    /// Logs when the clock's accuracy changes, and sets or clears its problem.
    pub(super) fn judge(&mut self, health: &Health, events: &Events) {
        let skew = self.skew.unwrap_or_default();
        let state = if self.is_too_far_off() {
            ClockState::TooFarOff
        } else if skew.abs() > LARGEST_SKEW {
            ClockState::Skewed
        } else {
            ClockState::Right
        };
        if state != self.state {
            events.emit(&match state {
                ClockState::Right => Event::ClockRight { skew },
                ClockState::Skewed => Event::ClockSkewed { skew },
                ClockState::TooFarOff => Event::ClockTooFarOff { skew },
            });
        }
        self.state = state;
        let seconds = skew.as_seconds_f64();
        let problem = format!("this host's clock is {seconds:+.1} s off Redis' clock");
        let problem = match state {
            ClockState::Right => None,
            ClockState::Skewed => Some(problem),
            ClockState::TooFarOff => self.why_not_leading(),
        };
        health.set(HealthPart::Clock, problem);
    }

    /// Returns why this host must not lead, if its clock is too far off.
    pub(super) fn why_not_leading(&self) -> Option<String> {
        let (skew, max) = self.skew.zip(self.max)?;
        let (seconds, max) = (skew.as_seconds_f64(), duration::display(max));
        self.is_too_far_off().then(|| {
            format!(
                "this host's clock is {seconds:+.1} s off Redis' clock, more than the {max} that a leader's may be \
                 (--max-clock-skew); not leading until one of them is corrected"
            )
        })
    }
}

/// Returns by how much this host's clock is certainly ahead of Redis's; negative if it is behind. `before` and
/// `after` are this host's time before and after the call that returned the time `redis`. A difference that the
/// duration of the call can explain counts as zero.
fn skew(before: DateTime<Utc>, after: DateTime<Utc>, redis: DateTime<Utc>) -> TimeDelta {
    if redis < before {
        before - redis
    } else if redis > after {
        after - redis
    } else {
        TimeDelta::zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_excludes_what_the_duration_of_the_call_explains() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let skew = |before, after, redis| skew(at(before), at(after), at(redis)).num_seconds();
        assert_eq!(skew(10, 12, 11), 0);
        assert_eq!(skew(10, 12, 7), 3);
        assert_eq!(skew(10, 12, 16), -4);
    }
}

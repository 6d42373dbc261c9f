//! How far this host's clock is off Redis' clock, and whether a leader's may be as far off.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    core::time::duration,
    engine::health::{Health, HealthPart},
    events::{Event, Events},
};

/// A clock further off Redis' than this is warned about.
const LARGEST_SKEW: TimeDelta = TimeDelta::seconds(1);

/// How right it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClockState {
    Right,
    /// Off by more than a second.
    Skewed,
    /// Off by more than a leader's clock may be.
    TooFarOff,
}

/// What is known of this host's clock.
pub(super) struct HostClock {
    /// How far a leader's may be off.
    max: Option<TimeDelta>,
    /// How far it was ahead of Redis' when they were last compared, at least.
    skew: Option<TimeDelta>,
    state: ClockState,
}

impl HostClock {
    /// A clock that was not compared yet.
    pub(super) fn new(max: Option<TimeDelta>) -> Self {
        Self {
            max,
            skew: None,
            state: ClockState::Right,
        }
    }

    /// How far it was ahead of Redis' when they were last compared, at least.
    pub(super) fn skew(&self) -> Option<TimeDelta> {
        self.skew
    }

    /// Compares it with Redis' clock, given what it showed before and after Redis looked at its own. Returns how far it
    /// is ahead.
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

    /// Whether this host's clock is too far off Redis' clock to lead, as far as is known.
    pub(super) fn is_too_far_off(&self) -> bool {
        self.skew.is_some() && self.may_be_too_far_off()
    }

    /// The same; also before the first look at Redis' clock.
    pub(super) fn may_be_too_far_off(&self) -> bool {
        self.max
            .is_some_and(|max| self.skew.is_none_or(|skew| skew.abs() > max))
    }

    /// Reports when this host's clock leaves Redis' clock, and when it is right again.
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

    /// Why this host must not lead, if its clock is too far off.
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

/// By how much this host's clock is ahead of Redis' for certain, given what it showed before and after
/// Redis looked at its own; less than zero: behind it. What the call's duration explains is no skew.
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
    fn skew_is_what_a_slow_call_does_not_explain() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let skew = |before, after, redis| skew(at(before), at(after), at(redis)).num_seconds();
        assert_eq!(skew(10, 12, 11), 0);
        assert_eq!(skew(10, 12, 7), 3);
        assert_eq!(skew(10, 12, 16), -4);
    }
}

//! Reports errors of the store and decides when to retry.

use std::time::{Duration, Instant};

use crate::{
    engine::health::{Health, HealthPart},
    events::{Event, Events},
    store::StoreError,
};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The outage of one loop. All loops share the health, so that an outage is logged once a minute, and its end when
/// the last loop has recovered.
pub(super) struct Outage {
    health: Health,
    events: Events,
    part: HealthPart,
    in_trouble: bool,
    failures: u32,
}

impl Outage {
    /// Returns the state of the loop `part`, without an outage.
    pub(super) fn of(part: HealthPart, health: &Health, events: &Events) -> Self {
        Self {
            health: health.clone(),
            events: events.clone(),
            part,
            in_trouble: false,
            failures: 0,
        }
    }

    /// Records the outcome of a call at `now`. Returns its value, or the pause before the next attempt.
    pub(super) fn note<T>(
        &mut self,
        outcome: Result<T, StoreError>,
        now: Instant,
    ) -> Result<T, Duration> {
        match outcome {
            Ok(value) => {
                self.end();
                Ok(value)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.report(&error, now);
                let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failures - 1);
                // Jitter keeps schedulers that lost Redis together from retrying together.
                Err(pause
                    .min(LONGEST_PAUSE)
                    .mul_f64(0.5 + fastrand::f64() / 2.0))
            }
        }
    }

    /// Reports the outage. The first failure of a broken connection is only logged for debugging, because the next
    /// connection may work.
    fn report(&mut self, error: &StoreError, now: Instant) {
        let text = error.to_string();
        if matches!(error, StoreError::Unavailable { dropped: true, .. }) && self.failures == 1 {
            self.events.emit(&Event::ConnectionLost { error: &text });
            return;
        }
        // Loops may see the same outage as different errors: refused, reset, timed out.
        let kind = match error {
            StoreError::Corrupt { .. } | StoreError::Refused { .. } => text.clone(),
            _ => format!("{:?}", std::mem::discriminant(error)),
        };
        self.in_trouble = true;
        self.health.set(self.part, Some(text.clone()));
        if let Some(lasting) = self.health.enter_outage(self.part, kind, now) {
            let error = &text;
            self.events.emit(&Event::RedisLost { error, lasting });
        }
    }

    /// Ends the outage: the loop reached Redis, or does not need it for now.
    pub(super) fn end(&mut self) {
        self.failures = 0;
        if std::mem::take(&mut self.in_trouble) && self.health.leave_outage(self.part) {
            self.events.emit(&Event::RedisBack);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    fn unavailable(reason: &str) -> Result<(), StoreError> {
        Err(StoreError::Unavailable {
            server: "here".into(),
            reason: reason.into(),
            dropped: false,
        })
    }

    #[test]
    fn pauses_grow_to_a_few_seconds_and_begin_again_after_a_success() {
        let now = SystemClock.monotonic();
        let mut outage = Outage::of(HealthPart::Delayed, &Health::default(), &Events::default());
        let pauses: Vec<Duration> = (0..40)
            .map(|_| outage.note(unavailable("gone"), now).unwrap_err())
            .collect();
        assert!(pauses[0] <= FIRST_PAUSE, "{pauses:?}");
        for pause in &pauses[10..] {
            assert!(
                (LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(pause),
                "{pauses:?}"
            );
        }
        outage.note(Ok(()), now).unwrap();
        assert!(outage.note(unavailable("gone"), now).unwrap_err() <= FIRST_PAUSE);
    }

    #[test]
    fn a_problem_lasts_until_the_last_loop_has_recovered() {
        let now = SystemClock.monotonic();
        let (health, events) = (Health::default(), Events::default());
        let parts = [HealthPart::Leadership, HealthPart::Delayed];
        let mut loops = parts.map(|part| Outage::of(part, &health, &events));
        for outage in &mut loops {
            outage.note(unavailable("gone"), now).unwrap_err();
        }
        assert_eq!(health.problems(), ["Redis at here is unavailable: gone"]);
        loops[0].note(Ok(()), now).unwrap();
        assert_eq!(health.problems().len(), 1);
        loops[1].note(Ok(()), now).unwrap();
        assert!(health.problems().is_empty());
    }
}

//! How the scheduler is, and what a loop does about errors of the store: say it once, and try again
//! a little later.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{events::Transition, store::StoreError};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What can be in trouble by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Leadership,
    Recurring,
    Delayed,
    /// Entries whose queue refuses their job.
    Entries,
    /// Buckets that can't be moved.
    Buckets,
    /// What Ruby schedulers did.
    Stamps,
    /// Dynamic entries.
    Dynamic,
    /// This host's clock.
    Clock,
}

/// What is wrong now; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<Part, String>>>);

impl Health {
    /// Each problem in words, the same one once; none: all is well.
    pub fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.lock().values().cloned().collect();
        problems.dedup();
        problems
    }

    /// Takes note of what is wrong with `part`, or that nothing is. Returns what the loops are in
    /// trouble with, but for `part`.
    pub(super) fn set(&self, part: Part, problem: Option<String>) -> Vec<String> {
        let mut problems = self.lock();
        match problem {
            Some(problem) => problems.insert(part, problem),
            None => problems.remove(&part),
        };
        let others = problems
            .range(..=Part::Delayed)
            .filter(|(it, _)| **it != part);
        others.map(|(_, problem)| problem.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Part, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One loop's view of Redis. All share their health, so that an outage is said once, and its end
/// when the last of them is over it.
#[derive(Debug)]
pub(super) struct Outage {
    health: Health,
    part: Part,
    in_trouble: bool,
    /// What was told last of the trouble that this loop is in.
    told: Option<String>,
    failures: u32,
}

impl Outage {
    /// The view of the loop `part`.
    pub(super) fn of(part: Part, health: &Health) -> Self {
        Self {
            health: health.clone(),
            part,
            in_trouble: false,
            told: None,
            failures: 0,
        }
    }

    /// Takes note of an outcome: the value, or how long to wait before the next try.
    pub(super) fn note<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, Duration> {
        match outcome {
            Ok(value) => {
                self.failures = 0;
                self.told = None;
                if std::mem::take(&mut self.in_trouble)
                    && self.health.set(self.part, None).is_empty()
                {
                    Transition::RedisBack.emit();
                }
                Ok(value)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.say(&error);
                let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failures - 1);
                // Jitter, so that schedulers that lost Redis together don't come back together.
                Err(pause
                    .min(LONGEST_PAUSE)
                    .mul_f64(0.5 + fastrand::f64() / 2.0))
            }
        }
    }

    /// Says what is new: the first trouble of all, or one that is this loop's own. That a connection
    /// broke is no trouble yet.
    fn say(&mut self, error: &StoreError) {
        let text = error.to_string();
        if matches!(error, StoreError::Unavailable { dropped: true, .. }) && self.failures == 1 {
            Transition::ConnectionLost { error: &text }.emit();
            return;
        }
        let others = self.health.set(self.part, Some(text.clone()));
        let new = if let StoreError::Unavailable { .. } = error {
            !self.in_trouble && others.is_empty()
        } else {
            self.told.as_ref() != Some(&text) && !others.contains(&text)
        };
        self.in_trouble = true;
        if new {
            Transition::RedisLost { error: &text }.emit();
            self.told = Some(text);
        }
    }

    /// This loop has nothing to do with Redis for now, whatever was.
    pub(super) fn forget(&mut self) {
        // No pause comes of a success.
        let _ = self.note(Ok(()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable() -> Result<(), StoreError> {
        Err(StoreError::Unavailable {
            server: "here".into(),
            reason: "gone".into(),
            dropped: false,
        })
    }

    #[test]
    fn pauses_grow_to_a_few_seconds_and_begin_anew_after_a_success() {
        let mut outage = Outage::of(Part::Delayed, &Health::default());
        let pauses: Vec<Duration> = (0..40)
            .map(|_| outage.note(unavailable()).unwrap_err())
            .collect();
        assert!(pauses[0] <= FIRST_PAUSE, "{pauses:?}");
        for pause in &pauses[10..] {
            assert!(
                (LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(pause),
                "{pauses:?}"
            );
        }
        outage.note(Ok(())).unwrap();
        assert!(outage.note(unavailable()).unwrap_err() <= FIRST_PAUSE);
    }

    #[test]
    fn health_is_bad_until_the_last_loop_is_over_it() {
        let health = Health::default();
        let mut loops = [Part::Leadership, Part::Delayed].map(|part| Outage::of(part, &health));
        for outage in &mut loops {
            outage.note(unavailable()).unwrap_err();
        }
        assert_eq!(health.problems(), ["Redis at here is unavailable: gone"]);
        loops[0].note(Ok(())).unwrap();
        assert_eq!(health.problems().len(), 1);
        loops[1].note(Ok(())).unwrap();
        assert!(health.problems().is_empty());
    }
}

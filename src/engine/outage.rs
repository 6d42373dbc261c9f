//! What a loop does about errors of the store: say it once, and try again a little later.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{events::Transition, store::StoreError};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One loop's view of Redis. All know how many of them are in trouble, so that an outage is said
/// once, and its end when the last of them is over it.
#[derive(Debug, Default)]
pub(super) struct Outage {
    in_trouble: Arc<AtomicUsize>,
    /// What this loop is in trouble with.
    trouble: Option<String>,
    failures: u32,
}

impl Outage {
    /// The view of another loop.
    pub(super) fn of_another_loop(&self) -> Self {
        Self {
            in_trouble: Arc::clone(&self.in_trouble),
            ..Self::default()
        }
    }

    /// Takes note of an outcome: the value, or how long to wait before the next try.
    pub(super) fn note<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, Duration> {
        match outcome {
            Ok(value) => {
                self.failures = 0;
                if self.trouble.take().is_some()
                    && self.in_trouble.fetch_sub(1, Ordering::Relaxed) == 1
                {
                    Transition::RedisBack.emit();
                }
                Ok(value)
            }
            Err(error) => {
                self.say(&error);
                self.failures = self.failures.saturating_add(1);
                let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failures - 1);
                // Jitter, so that schedulers that lost Redis together don't come back together.
                Err(pause
                    .min(LONGEST_PAUSE)
                    .mul_f64(0.5 + fastrand::f64() / 2.0))
            }
        }
    }

    /// Says what is new: the first trouble of all, or one that is this loop's own.
    fn say(&mut self, error: &StoreError) {
        let text = error.to_string();
        let (before, others) = match self.trouble.replace(text.clone()) {
            Some(before) => (before, 1),
            None => (
                String::new(),
                self.in_trouble.fetch_add(1, Ordering::Relaxed),
            ),
        };
        let same_for_all = matches!(error, StoreError::Unavailable { .. });
        if if same_for_all {
            others == 0
        } else {
            before != text
        } {
            Transition::RedisLost { error: &text }.emit();
        }
    }
}

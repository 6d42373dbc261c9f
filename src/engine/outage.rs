//! What a loop does about errors of the store: say it once, and try again a little later.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{events::Transition, store::StoreError};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One loop's view of Redis. Clones share whether Redis is unavailable, so that an outage that all
/// loops notice is said once; other errors are said once by each.
#[derive(Debug, Clone, Default)]
pub(super) struct Outage {
    unavailable: Arc<AtomicBool>,
    said: Option<String>,
    failures: u32,
}

impl Outage {
    /// Takes note of an outcome: the value, or how long to wait before the next try.
    pub(super) fn note<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, Duration> {
        match outcome {
            Ok(value) => {
                self.failures = 0;
                self.said = None;
                if self.unavailable.swap(false, Ordering::Relaxed) {
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

    fn say(&mut self, error: &StoreError) {
        let text = error.to_string();
        let first = if matches!(error, StoreError::Unavailable { .. }) {
            !self.unavailable.swap(true, Ordering::Relaxed)
        } else {
            self.said
                .replace(text.clone())
                .is_none_or(|said| said != text)
        };
        if first {
            Transition::RedisLost { error: &text }.emit();
        }
    }
}

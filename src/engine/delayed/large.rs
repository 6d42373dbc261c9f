//! Delays large items on a link that is too slow for them.
//!
//! After two attempts to read and move a batch have failed, large items wait until nothing else is due, so that the
//! items behind them are moved. Then they are tried again, for at most a tenth of the time, because everything else
//! waits during an attempt.

use std::time::{Duration, Instant};

/// Size in bytes above which an item is large.
const LARGE: usize = 64 << 10;

/// Number of failed attempts after which large items wait. A single attempt may fail for other reasons.
const ATTEMPTS: u32 = 2;

/// Shortest pause before large items are tried again, and how many times longer than the failed attempt a pause is.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGER: u32 = 10;

/// Whether large items wait.
#[derive(Debug, Default)]
pub(super) struct Large {
    /// Number of attempts that have failed since nothing was due.
    failures: u32,
    /// If set, large items wait, at least until this time.
    until: Option<Instant>,
}

impl Large {
    /// Returns the maximum size in bytes of an item in an ordinary batch.
    pub(super) fn largest(&self) -> usize {
        if self.until.is_some() {
            LARGE
        } else {
            usize::MAX
        }
    }

    /// Returns the maximum size in bytes of an item at `now`, when nothing else is due.
    pub(super) fn largest_again(&self, now: Instant) -> usize {
        if self.until.is_some_and(|until| until <= now) {
            usize::MAX
        } else {
            self.largest()
        }
    }

    /// Records an attempt that failed at `now`. It took `taken` and read items of up to `largest` bytes.
    pub(super) fn failed(&mut self, largest: usize, taken: Duration, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if largest > LARGE && self.failures >= ATTEMPTS {
            self.until = Some(now + SHORTEST.max(taken * LONGER));
        }
    }

    /// Records that nothing but `stuck` buckets was due.
    pub(super) fn rest(&mut self, stuck: usize) {
        if self.until.is_none() || stuck == 0 {
            *self = Self::default();
        }
    }

    /// Records that all stuck buckets were tried again, with items of up to `largest` bytes.
    pub(super) fn tried(&mut self, largest: usize) {
        if largest > LARGE {
            *self = Self::default();
        }
    }
}

/// Returns why a bucket with an item of this many bytes waits, and what to do about it.
pub(super) fn reason(bytes: usize) -> String {
    format!(
        "an item of {bytes} bytes waits until nothing else is due, because reading large items failed; use a faster link to Redis, or lower --max-item-size, so that the item is quarantined"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn large_items_wait_after_two_failed_attempts_and_are_tried_for_a_tenth_of_the_time() {
        let start = SystemClock.monotonic();
        let after = |seconds| start + Duration::from_secs(seconds);
        let failed = |large: &mut Large, seconds| {
            let largest = large.largest_again(after(seconds));
            large.failed(largest, Duration::from_secs(30), after(seconds));
        };
        let mut large = Large::default();
        failed(&mut large, 0);
        assert_eq!(large.largest(), usize::MAX);
        failed(&mut large, 30);
        assert_eq!(large.largest(), LARGE);
        assert_eq!(large.largest_again(after(329)), LARGE);
        // An attempt that reads only small items fails, too.
        failed(&mut large, 100);
        assert_eq!(large.largest_again(after(330)), usize::MAX);
        large.rest(1);
        failed(&mut large, 330);
        assert_eq!(large.largest_again(after(629)), LARGE);
        large.tried(LARGE);
        assert_eq!(large.largest(), LARGE);
        large.tried(usize::MAX);
        assert_eq!(large.largest(), usize::MAX);
    }

    #[test]
    fn attempts_that_fail_long_apart_do_not_make_large_items_wait() {
        let now = SystemClock.monotonic();
        let mut large = Large::default();
        for _ in 0..5 {
            large.failed(usize::MAX, SHORTEST, now);
            large.rest(0);
        }
        assert_eq!(large.largest(), usize::MAX);
    }
}

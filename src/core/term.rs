//! A term of leadership, and how long its holder may trust it.
//!
//! ```text
//!   attempt_started         renew_at                 trusted_until        lease ends in Redis
//!        |---------------------|---------------------------|------ margin ------|
//!        0                  lease/3                  lease - margin        lease (or later)
//! ```
//!
//! Everything is anchored at the *start* of the attempt that took or renewed the lease, on the
//! monotonic clock, so a slow reply can't stretch leadership.

use std::time::{Duration, Instant};

/// One holding of the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    number: u64,
    lease: Duration,
    attempt_started: Instant,
}

impl Term {
    /// The term number `number` of this process, from an attempt begun at `attempt_started` that
    /// took the lease for `lease`.
    pub fn new(number: u64, attempt_started: Instant, lease: Duration) -> Self {
        Self {
            number,
            lease,
            attempt_started,
        }
    }

    /// The same term after a renewal that began at `attempt_started`.
    #[must_use]
    pub fn renewed(self, attempt_started: Instant) -> Self {
        Self {
            attempt_started,
            ..self
        }
    }

    /// Counts the terms of this process; tells a renewal from a new term.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How long the holder may still act as leader; zero once it must not.
    pub fn remaining(&self, now: Instant) -> Duration {
        let margin = (self.lease / 5).min(Duration::from_secs(1));
        (self.attempt_started + self.lease.saturating_sub(margin)).saturating_duration_since(now)
    }

    /// How long the lease can wait for its renewal, due after a third of it.
    pub fn renewal_due_in(&self, now: Instant) -> Duration {
        (self.attempt_started + self.lease / 3).saturating_duration_since(now)
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant has no other constructor"
)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn trust_ends_a_margin_before_the_lease() {
        let start = Instant::now();
        let term = Term::new(1, start, 15 * SECOND);
        assert_eq!(term.remaining(start), 14 * SECOND);
        assert_eq!(term.renewal_due_in(start + SECOND), 4 * SECOND);
        assert_eq!(term.remaining(start + 14 * SECOND), Duration::ZERO);
        let short = Term::new(1, start, SECOND);
        assert_eq!(short.remaining(start), Duration::from_millis(800));
    }

    #[test]
    fn a_renewal_counts_from_its_start_and_keeps_the_number() {
        let start = Instant::now();
        let term = Term::new(7, start, 15 * SECOND).renewed(start + 5 * SECOND);
        assert_eq!(term.number(), 7);
        assert_eq!(term.remaining(start + 6 * SECOND), 13 * SECOND);
    }
}

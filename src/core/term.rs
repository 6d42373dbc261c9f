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

use chrono::{DateTime, TimeDelta, Utc};

/// One successful attempt to take or renew the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub started: Instant,
    /// What the server's clock showed then.
    pub server_clock: DateTime<Utc>,
}

/// One holding of the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    number: u64,
    unbroken_since: u64,
    lease: Duration,
    attempt: Attempt,
}

impl Term {
    /// The term number `number` of this process, from an attempt that took the lease for `lease`.
    pub fn new(number: u64, lease: Duration, attempt: Attempt) -> Self {
        Self {
            number,
            unbroken_since: number,
            lease,
            attempt,
        }
    }

    /// The same term after another successful attempt.
    #[must_use]
    pub fn renewed(self, attempt: Attempt) -> Self {
        Self { attempt, ..self }
    }

    /// The same term as one that follows on `earlier`: nobody else can have led since that one was renewed last.
    #[must_use]
    pub fn following(self, earlier: Self) -> Self {
        Self {
            unbroken_since: earlier.unbroken_since,
            ..self
        }
    }

    /// Whether nobody else can have led by `now` since the last attempt, for the lock had no time to end.
    pub fn is_held_until(&self, now: Instant) -> bool {
        now < self.attempt.started + self.lease
    }

    /// The number of the first term of an unbroken row up to this one, in which nobody else led: what this
    /// process remembers from it is up to date.
    pub fn unbroken_since(&self) -> u64 {
        self.unbroken_since
    }

    /// Counts the terms of this process; tells a renewal from a new term.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How long the holder may still act as leader; zero once it must not.
    pub fn remaining(&self, now: Instant) -> Duration {
        let margin = (self.lease / 5).min(Duration::from_secs(1));
        (self.attempt.started + self.lease.saturating_sub(margin)).saturating_duration_since(now)
    }

    /// How long the lease can wait for its renewal, due after a third of it.
    pub fn renewal_due_in(&self, now: Instant) -> Duration {
        (self.attempt.started + self.lease / 3).saturating_duration_since(now)
    }

    /// Returns by how much a host's clock that shows `clock` at `now` is ahead of the server's clock, reckoned
    /// from the last attempt: a clock that has jumped since then shows without another one.
    pub fn skew(&self, now: Instant, clock: DateTime<Utc>) -> TimeDelta {
        let since = now.saturating_duration_since(self.attempt.started);
        clock - self.attempt.server_clock - TimeDelta::from_std(since).unwrap_or(TimeDelta::MAX)
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

    fn attempt(started: Instant) -> Attempt {
        Attempt {
            started,
            server_clock: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn trust_ends_a_margin_before_the_lease() {
        let start = Instant::now();
        let term = Term::new(1, 15 * SECOND, attempt(start));
        assert_eq!(term.remaining(start), 14 * SECOND);
        assert_eq!(term.renewal_due_in(start + SECOND), 4 * SECOND);
        assert_eq!(term.remaining(start + 14 * SECOND), Duration::ZERO);
        let short = Term::new(1, SECOND, attempt(start));
        assert_eq!(short.remaining(start), Duration::from_millis(800));
    }

    #[test]
    fn a_renewal_counts_from_its_start_and_keeps_the_number() {
        let start = Instant::now();
        let term = Term::new(7, 15 * SECOND, attempt(start)).renewed(attempt(start + 5 * SECOND));
        assert_eq!(term.number(), 7);
        assert_eq!(term.remaining(start + 6 * SECOND), 13 * SECOND);
    }

    #[test]
    fn a_clock_that_jumps_between_two_attempts_is_off_by_the_jump() {
        let start = Instant::now();
        let term = Term::new(1, 15 * SECOND, attempt(start));
        let skew = |after: u32, clock: i64| {
            let clock = DateTime::from_timestamp(clock, 0).unwrap();
            term.skew(start + after * SECOND, clock).num_seconds()
        };
        assert_eq!(skew(0, 0), 0);
        assert_eq!(skew(4, 4), 0);
        assert_eq!(skew(4, 3_604), 3_600);
        assert_eq!(skew(4, -3_596), -3_600);
    }
}

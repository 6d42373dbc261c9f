//! A term of leadership, and how long the leader may trust it.
//!
//! ```text
//!   attempt_started         renew_at                 trusted_until        lease ends in Redis
//!        |---------------------|---------------------------|------ margin ------|
//!        0                  lease/3                  lease - margin        lease (or later)
//! ```
//!
//! All times count from the *start* of the attempt that took or renewed the lease, on the monotonic clock. A slow
//! reply from Redis therefore cannot extend a term beyond the lease.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// One successful attempt to take or renew the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// When the attempt started, on the monotonic clock.
    pub started: Instant,
    /// The time of the Redis server's clock at that moment.
    pub server_clock: DateTime<Utc>,
}

/// One period in which this process holds the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    number: u64,
    unbroken_since: u64,
    lease: Duration,
    attempt: Attempt,
}

impl Term {
    /// Creates term `number` of this process, from an attempt that took the lease for the time `lease`.
    pub fn new(number: u64, lease: Duration, attempt: Attempt) -> Self {
        Self {
            number,
            unbroken_since: number,
            lease,
            attempt,
        }
    }

    /// Returns this term after another successful attempt.
    #[must_use]
    pub fn renewed(self, attempt: Attempt) -> Self {
        Self { attempt, ..self }
    }

    /// Returns this term as the unbroken successor of `earlier`.
    ///
    /// The caller has checked that no other process can have led since `earlier` was last renewed.
    #[must_use]
    pub fn following(self, earlier: Self) -> Self {
        Self {
            unbroken_since: earlier.unbroken_since,
            ..self
        }
    }

    /// Whether the lease cannot have expired before `now`, so that no other process can have led since the last attempt.
    pub fn is_held_until(&self, now: Instant) -> bool {
        now < self.attempt.started + self.lease
    }

    /// Returns the number of the first term of the unbroken series of terms that ends with this one.
    ///
    /// No other process has led since that term began, so what this process remembers from that time is up to date.
    pub fn unbroken_since(&self) -> u64 {
        self.unbroken_since
    }

    /// Returns the number of this term in this process. A renewal keeps the number; a new term gets the next one.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns how long this process may still act as the leader; zero when the term is over.
    pub fn remaining(&self, now: Instant) -> Duration {
        let margin = (self.lease / 5).min(Duration::from_secs(1));
        (self.attempt.started + self.lease.saturating_sub(margin)).saturating_duration_since(now)
    }

    /// Returns the time until the next renewal, which is due after a third of the lease.
    pub fn renewal_due_in(&self, now: Instant) -> Duration {
        (self.attempt.started + self.lease / 3).saturating_duration_since(now)
    }

    /// Returns by how much a host's clock that shows `clock` at `now` is ahead of the server's clock.
    ///
    /// The server's clock is computed from the last attempt and the monotonic clock. A jump of the host's clock is
    /// therefore noticed without another attempt.
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
    fn a_term_ends_before_its_lease_by_the_margin() {
        let start = Instant::now();
        let term = Term::new(1, 15 * SECOND, attempt(start));
        assert_eq!(term.remaining(start), 14 * SECOND);
        assert_eq!(term.renewal_due_in(start + SECOND), 4 * SECOND);
        assert_eq!(term.remaining(start + 14 * SECOND), Duration::ZERO);
        let short = Term::new(1, SECOND, attempt(start));
        assert_eq!(short.remaining(start), Duration::from_millis(800));
    }

    #[test]
    fn a_renewal_counts_from_the_start_of_its_attempt_and_keeps_the_term_number() {
        let start = Instant::now();
        let term = Term::new(7, 15 * SECOND, attempt(start)).renewed(attempt(start + 5 * SECOND));
        assert_eq!(term.number(), 7);
        assert_eq!(term.remaining(start + 6 * SECOND), 13 * SECOND);
    }

    #[test]
    fn a_jump_of_the_clock_between_two_attempts_shows_as_skew() {
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

//! Limits that protect the scheduler and its Redis.

use chrono::TimeDelta;

/// Limits that protect the scheduler and its Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum size of a delayed item in bytes. Larger items are set aside unread.
    pub item: usize,
    /// Maximum number of records in the quarantine.
    pub quarantine: usize,
    /// Maximum number of records in the history of an entry; 0: no history.
    pub history: usize,
    /// Maximum difference between the clocks of this host and of Redis; `None`: any.
    pub clock_skew: Option<TimeDelta>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            item: 16 << 20,
            quarantine: 10_000,
            history: 50,
            clock_skew: None,
        }
    }
}

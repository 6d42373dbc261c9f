//! What is too much for the scheduler.

use chrono::TimeDelta;

/// What is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a delayed item that is read.
    pub item: usize,
    /// Records in quarantine.
    pub quarantine: usize,
    /// Records in the history of an entry; 0: there is none.
    pub history: usize,
    /// How far this host's clock may be off Redis' clock; any distance if `None`.
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

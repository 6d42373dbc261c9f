//! Outcome of a pass of a loop.

use chrono::{DateTime, Utc};

/// Outcome of a pass of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// More work is due now.
    More,
    /// Nothing is due before `until`, or before something new arrives.
    Done {
        /// When the next work is due.
        until: Option<DateTime<Utc>>,
    },
    /// This process is no longer the leader, so the pass ended early.
    LeaseLost,
}

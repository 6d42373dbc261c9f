//! What a pass of a loop came to.

use chrono::{DateTime, Utc};

/// What a pass of a loop came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// There is more to do at once.
    More,
    /// Nothing is left to do before `until`, or before something new arrives.
    Done {
        /// When the next thing is due.
        until: Option<DateTime<Utc>>,
    },
    /// This process does not lead any more; nothing was done.
    LeaseLost,
}

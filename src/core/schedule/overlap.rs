//! The pile-up guard: when a fire is skipped, so that jobs do not pile up if the workers are too slow.
//!
//! Redis decides in `fire.lua`, in the same atomic step as the fire.

use std::{fmt, num::NonZeroU64};

use serde::{Deserialize, Serialize};

/// When the fires of an entry are skipped.
///
/// A skipped fire is recorded. It is neither retried nor caught up, and does not count towards `times`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Guard {
    /// What happens to a fire while an identical job is queued or running.
    pub overlap: Overlap,
    /// The queue length at which fires are skipped. `None` means no limit.
    pub max_queue_length: Option<NonZeroU64>,
}

/// What happens to a fire while an identical job is queued or running.
///
/// Two jobs are identical if they differ only in the parts that depend on the fire time
/// ([`crate::core::job::Job::fixed_parts`]) and in the characters that ActiveSupport escapes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The fire is enqueued anyway.
    #[default]
    Allow,
    /// The fire is skipped if an identical job is among the newest 100,000 jobs of the queue.
    SkipIfQueued,
    /// The fire is skipped as for `SkipIfQueued`, and if a worker's status says that it runs an identical job.
    SkipIfRunning,
}

/// Why a fire was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The queue has reached its `max_queue_length`.
    QueueFull,
    /// An identical job is waiting in the queue.
    Queued,
    /// A worker is running an identical job.
    Running,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueFull => "queue full",
            Self::Queued => "queued",
            Self::Running => "running",
        })
    }
}

//! The pile-up guard: when a fire is skipped rather than enqueued, so that jobs don't pile up where
//! workers don't keep up. Whether it is, is decided in Redis, together with the fire.

use std::{fmt, num::NonZeroU64};

use serde::{Deserialize, Serialize};

/// When the fires of an entry are skipped. A skipped fire is settled: it is neither tried again nor
/// caught up with, and it is none of the entry's `times`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Guard {
    /// What an identical job that is not done yet means.
    pub overlap: Overlap,
    /// No job makes its queue longer than this; none: queues may be of any length.
    pub max_queue_length: Option<NonZeroU64>,
}

/// What becomes of a fire while an identical job is not done yet. Jobs are identical that differ in
/// nothing but what comes from their fire time ([`crate::core::job::Job::fixed_parts`]), and in the characters that
/// ActiveSupport escapes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is enqueued all the same.
    #[default]
    Allow,
    /// It is skipped if one waits in the queue, and is among the newest 100,000 there.
    SkipIfQueued,
    /// It is skipped if one waits there, or a worker says that it works on one.
    SkipIfRunning,
}

/// Why a fire was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The queue is as long as it may be.
    QueueFull,
    /// An identical job waits in the queue.
    Queued,
    /// A worker works on an identical job.
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

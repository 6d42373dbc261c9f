//! What becomes of a fire: a closed list of words, the same in logs, in the history in Redis, and in answers.

use std::{fmt, str::FromStr};

use crate::core::schedule::overlap::SkipReason;

/// What became of a fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It was enqueued on time.
    Enqueued,
    /// It was enqueued later than its grace, by the catch-up policy.
    CaughtUp,
    /// It was not enqueued: the catch-up policy or its window decided so.
    Missed,
    /// An identical job waited in the queue.
    SkippedQueued,
    /// A worker worked on an identical job.
    SkippedRunning,
    /// The queue was as long as it may be.
    SkippedQueueFull,
    /// It was due while the entry, or everything, was paused.
    Paused,
    /// Its queue refused the job. It is retried until its catch-up window ends.
    Rejected,
    /// A person or a program asked for it now.
    Triggered,
    /// A person or a program asked for it later.
    Backfilled,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Enqueued,
        Self::CaughtUp,
        Self::Missed,
        Self::SkippedQueued,
        Self::SkippedRunning,
        Self::SkippedQueueFull,
        Self::Paused,
        Self::Rejected,
        Self::Triggered,
        Self::Backfilled,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enqueued => "enqueued",
            Self::CaughtUp => "caught_up",
            Self::Missed => "missed",
            Self::SkippedQueued => "skipped_queued",
            Self::SkippedRunning => "skipped_running",
            Self::SkippedQueueFull => "skipped_queue_full",
            Self::Paused => "paused",
            Self::Rejected => "rejected",
            Self::Triggered => "triggered",
            Self::Backfilled => "backfilled",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No outcome has this word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an outcome")]
pub struct UnknownOutcome(String);

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == word);
        found.ok_or_else(|| UnknownOutcome(word.to_owned()))
    }
}

impl From<SkipReason> for Outcome {
    fn from(reason: SkipReason) -> Self {
        match reason {
            SkipReason::Queued => Self::SkippedQueued,
            SkipReason::Running => Self::SkippedRunning,
            SkipReason::QueueFull => Self::SkippedQueueFull,
        }
    }
}

/// Why a job of an entry is enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its fire is due.
    Scheduled,
    /// Its fire was missed, and the catch-up policy says that it is made up for.
    CaughtUp,
    /// A person or a program asked for it now.
    Triggered,
    /// A person or a program asked for it later.
    Backfilled,
}

impl Cause {
    /// What becomes of the fire if its job is enqueued.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Scheduled => Outcome::Enqueued,
            Self::CaughtUp => Outcome::CaughtUp,
            Self::Triggered => Outcome::Triggered,
            Self::Backfilled => Outcome::Backfilled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.to_string().parse(), Ok(outcome));
        }
        let unknown = "Enqueued".parse::<Outcome>().unwrap_err();
        assert_eq!(unknown.to_string(), "`Enqueued` is not an outcome");
    }
}

//! The outcomes of fires: a closed list of words, the same in logs, in the history in Redis, and in command output.

use std::{fmt, str::FromStr};

use crate::core::schedule::overlap::SkipReason;

/// The outcome of a fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Enqueued on time.
    Enqueued,
    /// Missed, and enqueued late because the catch-up policy allows it.
    CaughtUp,
    /// Missed, and not enqueued because of the catch-up policy or its window.
    Missed,
    /// Skipped, because an identical job was waiting in the queue.
    SkippedQueued,
    /// Skipped, because a worker was running an identical job.
    SkippedRunning,
    /// Skipped, because the queue had reached its `max_queue_length`.
    SkippedQueueFull,
    /// Not enqueued, because the entry or the whole schedule was paused.
    Paused,
    /// Redis rejected the push to the queue. The fire is retried until its catch-up window ends.
    Rejected,
    /// Enqueued because a person or a program triggered the entry.
    Triggered,
    /// Enqueued because a person or a program asked for it after its fire time.
    Backfilled,
}

impl Outcome {
    /// All outcomes.
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

    /// Returns the word for this outcome, as logs and Redis have it.
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

/// The error for a word that no outcome has.
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
    /// The fire is due and on time.
    Scheduled,
    /// The fire was missed, and the catch-up policy allows it.
    CaughtUp,
    /// A person or a program triggered the entry.
    Triggered,
    /// A person or a program asked for the fire after its fire time.
    Backfilled,
}

impl Cause {
    /// Returns the outcome of the fire if its job is enqueued.
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
    fn every_word_parses_to_its_outcome() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.to_string().parse(), Ok(outcome));
        }
        let unknown = "Enqueued".parse::<Outcome>().unwrap_err();
        assert_eq!(unknown.to_string(), "`Enqueued` is not an outcome");
    }
}

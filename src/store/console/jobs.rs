//! A delayed job, where it is, and what it becomes.

use chrono::{DateTime, Utc};

/// The buckets between two times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Only jobs that are due at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only jobs that are due before this time.
    pub until: Option<DateTime<Utc>>,
}

impl Span {
    pub(in crate::store) fn first(&self) -> String {
        let first = self.from.map(|at| at.timestamp().to_string());
        first.unwrap_or_else(|| "-inf".to_owned())
    }

    pub(in crate::store) fn last(&self) -> String {
        let last = self.until.map(|at| format!("({}", at.timestamp()));
        last.unwrap_or_else(|| "+inf".to_owned())
    }
}

/// Where a page of delayed jobs begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The score of its first bucket; `None`: the first one of the span.
    pub(in crate::store) score: Option<String>,
    /// How many members of that score come before it.
    pub(in crate::store) members: usize,
    /// How many items of that bucket come before it.
    pub(in crate::store) items: usize,
}

/// A delayed job, as Redis has it.
#[derive(Debug, Clone, PartialEq)]
pub struct DelayedJob {
    /// The member of its bucket in the sorted set.
    pub member: Vec<u8>,
    /// When the bucket is due, Unix seconds.
    pub score: f64,
    /// Its place in the bucket when it was read.
    pub index: usize,
    /// Its bytes.
    pub item: Vec<u8>,
}

impl DelayedJob {
    /// Returns when it is due. Whole seconds, UTC; the epoch if that is no time.
    pub fn at(&self) -> DateTime<Utc> {
        #[expect(clippy::cast_possible_truncation, reason = "from_timestamp checks it")]
        DateTime::from_timestamp(self.score.floor() as i64, 0).unwrap_or_default()
    }
}

/// What a delayed job becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DelayedChange {
    /// It is removed.
    Remove,
    /// It is put on its queue.
    Enqueue {
        /// The queue, without namespace.
        queue: String,
        /// What a scheduler would push.
        payload: String,
    },
    /// It is moved to another time.
    Move,
}

/// What became of the change of a delayed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DelayedOutcome {
    /// It is done.
    Done,
    /// The job is not in its bucket any more.
    Gone,
    /// Redis' error; the job stays.
    Rejected(String),
}

/// A record that leaves the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The record, byte for byte.
    pub record: Vec<u8>,
    /// The timestamp of the bucket that the item goes to, and the item; `None`: it is discarded.
    pub to: Option<(i64, Vec<u8>)>,
}

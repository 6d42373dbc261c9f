//! Delayed jobs, their places in buckets, and changes to them.

use chrono::{DateTime, Utc};

use crate::core::time::instant::is_sensible;

/// The buckets between two times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Earliest time at which a job is due.
    pub from: Option<DateTime<Utc>>,
    /// Time before which a job is due.
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
    /// Score of the first bucket; `None`: the first bucket of the span.
    pub(in crate::store) score: Option<String>,
    /// Number of members of that score before it.
    pub(in crate::store) members: usize,
    /// Number of items of that bucket before the page.
    pub(in crate::store) items: usize,
}

/// A delayed job as Redis stores it.
#[derive(Debug, Clone, PartialEq)]
pub struct DelayedJob {
    /// Member of its bucket in the sorted set.
    pub member: Vec<u8>,
    /// Score of its bucket: when it is due, Unix seconds.
    pub score: f64,
    /// Index in the bucket when the job was read.
    pub index: usize,
    /// The item, byte for byte.
    pub item: Vec<u8>,
}

impl DelayedJob {
    /// Returns when the job is due, in whole seconds, UTC; `None`: its score is not a time from 1970 to 2199.
    pub fn at(&self) -> Option<DateTime<Utc>> {
        #[expect(clippy::cast_possible_truncation, reason = "from_timestamp checks it")]
        let at = DateTime::from_timestamp(self.score.floor() as i64, 0);
        at.filter(|at| is_sensible(*at))
    }
}

/// A change to a delayed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DelayedChange {
    /// Removes the job.
    Remove,
    /// Puts the job on its queue.
    Enqueue {
        /// The queue, without namespace.
        queue: String,
        /// The payload to push.
        payload: String,
    },
    /// Moves the job to another time.
    Move,
}

/// Outcome of a change to a delayed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DelayedOutcome {
    /// The job was changed.
    Done,
    /// The job is no longer in its bucket.
    Gone,
    /// It took long to find the jobs before it; the job is as it was.
    NotTried,
    /// The job was not changed, because of this error of Redis.
    Rejected(String),
}

/// A record to take out of the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The record, byte for byte.
    pub record: Vec<u8>,
    /// The timestamp of the bucket that the item goes to, and the item; `None`: it is discarded.
    pub to: Option<(i64, Vec<u8>)>,
}

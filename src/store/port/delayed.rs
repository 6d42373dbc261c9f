//! Due delayed jobs, and what becomes of them.

use chrono::{DateTime, Utc};

/// A due bucket, or as much of it as fits into a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its member in the sorted set, byte for byte: Unix seconds, if a well-behaved app wrote it.
    pub member: Vec<u8>,
    /// When it was due: the time that its member tells, or now if that is none, or later.
    pub due: DateTime<Utc>,
    /// Items from its head, or behind [`Self::passed`], oldest first.
    pub items: Vec<Vec<u8>>,
    /// What stays at its head; only the first bucket of a batch has it.
    pub passed: Option<Passed>,
}

/// Items at the head of a bucket that stay there, for nothing takes them now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// How many.
    pub items: usize,
    /// The last one of them. If it is not at its place any more, apps have removed some.
    pub last: Vec<u8>,
}

/// What is due: buckets by time, and those that can't be read with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// As many as fit into a batch.
    pub buckets: Vec<Bucket>,
    /// Their members in the sorted set, and Redis' words.
    pub unreadable: Vec<(Vec<u8>, String)>,
    /// Members with an item that is too large to be read, and its bytes. What is before it in the bucket is in
    /// [`Self::buckets`].
    pub too_large: Vec<(Vec<u8>, usize)>,
    /// The last bucket that was read; `None`: nothing is due.
    pub last: Option<Place>,
    /// Whether the batch is full: there may be more behind it.
    pub full: bool,
}

/// A place among the due buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A score, as Redis writes it.
    pub score: String,
    /// How many members of that score are before it.
    pub before: usize,
    /// The member there.
    pub member: Vec<u8>,
    /// How many items at the head of its bucket are before it.
    pub items: usize,
    /// The last one of these items if they stay in the bucket; `None`: they are being moved out of it.
    pub staying: Option<Vec<u8>>,
}

/// Where a delayed item goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To its queue.
    Queue {
        /// The queue's name.
        name: String,
        /// What is pushed.
        payload: String,
    },
    /// To quarantine, whole.
    Quarantine {
        /// Why.
        reason: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// Nowhere: it stays in its bucket, and what is behind it is moved.
    Stay {
        /// Why.
        reason: String,
    },
}

/// How much of the delayed jobs is handled in one call.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimit {
    /// Items and buckets, each counted: to move a bucket takes as long as an item in it.
    pub count: usize,
    /// Bytes of items.
    pub bytes: usize,
    /// Bytes of an item; a larger one is not read, and neither is one of more than [`crate::store::Limits::item`].
    pub item: usize,
}

/// What became of one delayed item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoveOutcome {
    /// It is where it was to go.
    Moved,
    /// Not moved: an app removed it.
    Left,
    /// Its target can't take it; Redis' words. It stays in its bucket.
    Rejected(String),
    /// Our user may not write its target. It stays in its bucket.
    Denied(String),
    /// It stays in its bucket, as [`Destination::Stay`] says.
    Stays,
    /// Not moved: by Redis' clock it is not due for longer than [`crate::store::Store::max_clock_skew`].
    TooEarly,
}

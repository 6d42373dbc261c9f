//! Due delayed jobs and their outcomes.

use chrono::{DateTime, Utc};

/// A due bucket, or the part of it that fits into a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Member of the sorted set, byte for byte. A well-behaved app writes Unix seconds.
    pub member: Vec<u8>,
    /// When the bucket was due: the time in `member`, or now if `member` is no time or a later one.
    pub due: DateTime<Utc>,
    /// Items, oldest first, starting at the head of the bucket or after [`Self::passed`].
    pub items: Vec<Vec<u8>>,
    /// Items at the head of the bucket that stay there. Only the first bucket of a batch can have them.
    pub passed: Option<Passed>,
}

/// Items at the head of a bucket that stay there, because nothing takes them now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Number of these items.
    pub items: usize,
    /// The last of these items. If it is no longer at its place, an app has removed items.
    pub last: Vec<u8>,
}

/// Due buckets in order of time, and those that cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// As many buckets as fit into a batch.
    pub buckets: Vec<Bucket>,
    /// Member and Redis' error of each bucket that cannot be read.
    pub unreadable: Vec<(Vec<u8>, String)>,
    /// Member of each bucket whose next item is too large to read, and the item's size in bytes.
    ///
    /// The items before it are in [`Self::buckets`].
    pub too_large: Vec<(Vec<u8>, usize)>,
    /// Place of the last bucket that was read; `None`: nothing is due.
    pub last: Option<Place>,
    /// Whether the batch is full, so that more buckets may be due.
    pub full: bool,
}

/// A place among the due buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Score of the bucket, as Redis writes it.
    pub score: String,
    /// Number of members with the same score before this one.
    pub before: usize,
    /// Member of the sorted set.
    pub member: Vec<u8>,
    /// Number of items at the head of the bucket before this place.
    pub items: usize,
    /// The last of these items if they stay in the bucket; `None`: they are being moved.
    pub staying: Option<Vec<u8>>,
}

/// Destination of a delayed item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Its queue.
    Queue {
        /// Name of the queue.
        name: String,
        /// The payload to push.
        payload: String,
    },
    /// The quarantine, with the whole item.
    Quarantine {
        /// Why the item cannot be enqueued.
        reason: String,
        /// When it was quarantined.
        at: DateTime<Utc>,
    },
    /// None: the item stays in its bucket, and the items after it are moved.
    Stay {
        /// Why the item stays.
        reason: String,
    },
}

/// Maximum size of a batch of delayed jobs.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimit {
    /// Number of items plus buckets. Both count, because removing a bucket takes as long as moving an item.
    pub count: usize,
    /// Bytes of items.
    pub bytes: usize,
    /// Bytes of one item. A larger item is not read, nor is one larger than [`crate::store::Limits::item`].
    pub item: usize,
}

/// Outcome of a delayed item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoveOutcome {
    /// The item is at its destination.
    Moved,
    /// Not moved: an app removed the item, or the batch has too many queues for one call. If it is still there, it
    /// is read again.
    Left,
    /// Not moved, with Redis' error: the destination does not accept it. It stays in its bucket.
    Rejected(String),
    /// Not moved, with the error: the Redis user may not write the destination. It stays in its bucket.
    Denied(String),
    /// Not moved, because of [`Destination::Stay`].
    Stays,
    /// Not moved: by Redis' clock, it is due later than [`crate::store::Store::max_clock_skew`] from now.
    TooEarly,
}

//! Fires and their outcomes.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};

use crate::core::{
    firing::outcome::Cause,
    schedule::overlap::{Guard, SkipReason},
};

/// A fire to enqueue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fire<'a> {
    /// Name of the entry.
    pub name: &'a str,
    /// Maximum number of fires since the entry was first seen.
    pub times: Option<u32>,
    /// The instant that the timing names, in whole seconds.
    pub fire_time: DateTime<Utc>,
    /// Why the fire is enqueued: it is due, it is caught up, or someone asked for it.
    pub cause: Cause,
    /// Time since the fire was due.
    pub lateness: TimeDelta,
    /// Name of the queue.
    pub queue: &'a str,
    /// The payload to push.
    pub payload: Cow<'a, str>,
    /// When the fire is skipped.
    pub guard: Guard,
    /// The parts that all identical payloads share ([`crate::core::job::Job::fixed_parts`]); `None`: the whole
    /// payload.
    ///
    /// Used only if the guard forbids overlap.
    pub fixed_parts: Option<Vec<String>>,
}

/// Outcome of a fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FireOutcome {
    /// The payload is in the queue.
    Fired,
    /// A scheduler has already enqueued, skipped or recorded this fire time or a later one.
    AlreadyFired,
    /// Not enqueued: the entry has had as many fires as `times` allows.
    HadAll,
    /// Skipped by its guard. The fence has its fire time, so it is not caught up later.
    Skipped(SkipReason),
    /// Not enqueued, because the entry or all entries are paused. The fence has its fire time, so it is not caught
    /// up later.
    Paused,
    /// Not enqueued, with Redis' error: the queue does not accept it. Only the history records it.
    Rejected(String),
    /// Not enqueued: by Redis' clock, its fire time is later than [`crate::store::Store::max_clock_skew`] from
    /// now. Nothing is recorded.
    TooEarly,
    /// Not enqueued: searching its queue would block Redis for too long after the other searches of this call.
    ///
    /// Nothing is recorded. The first search of a call is always made.
    PutOff,
}

/// Fire times of one entry that were missed and are not enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed<'a> {
    /// Name of the entry.
    pub name: &'a str,
    /// The first fire time.
    pub first: DateTime<Utc>,
    /// The last fire time.
    pub last: DateTime<Utc>,
    /// Number of fire times; `None`: too many to count.
    pub count: Option<u32>,
}

/// What missed fire times are recorded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissedOutcome {
    /// Recorded as missed.
    Missed,
    /// Recorded as paused, and in the fence: the entry or all entries are paused until after the last fire time.
    Paused,
    /// Not recorded: a scheduler has already fired the last fire time or a later one.
    Fired,
}

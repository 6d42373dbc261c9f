//! Fires, and what becomes of them.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use crate::core::schedule::overlap::{Guard, SkipReason};

/// One fire, to be enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fire<'a> {
    /// The entry's name.
    pub name: &'a str,
    /// How many fires the entry may have since it was first seen.
    pub times: Option<u32>,
    /// The instant it is meant for.
    pub fire_time: DateTime<Utc>,
    /// The queue's name.
    pub queue: &'a str,
    /// What is pushed.
    pub payload: Cow<'a, str>,
    /// When it is skipped.
    pub guard: Guard,
    /// What identical payloads have in common with this one, where that is not all of it
    /// ([`crate::core::job::Job::pattern`]); only looked at where the guard allows no overlap.
    pub pattern: Option<Vec<String>>,
}

/// What became of one fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FireOutcome {
    /// Its payload is in the queue.
    Fired,
    /// It was enqueued or skipped before, by us or by another scheduler.
    AlreadyFired,
    /// The entry has had as many fires as it may have.
    HadAll,
    /// Its guard kept it out of its queue. It is settled: its fire time is recorded as fired.
    Skipped(SkipReason),
    /// Its queue can't take it; Redis' words. Nothing was recorded.
    Rejected(String),
    /// By Redis' clock it is not due for longer than [`crate::store::Store::max_clock_skew`]. Nothing was recorded.
    TooEarly,
    /// To search its queue would have held Redis for too long, after what this call had searched before.
    /// Nothing was recorded; the first search of a call is always made.
    PutOff,
}

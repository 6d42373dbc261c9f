//! Fires, and what becomes of them.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};

use crate::core::{
    firing::outcome::Cause,
    schedule::overlap::{Guard, SkipReason},
};

/// One fire, to be enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fire<'a> {
    /// The entry's name.
    pub name: &'a str,
    /// How many fires the entry may have since it was first seen.
    pub times: Option<u32>,
    /// The instant it is meant for.
    pub fire_time: DateTime<Utc>,
    /// Why it is enqueued.
    pub cause: Cause,
    /// How long after it was due it is enqueued.
    pub lateness: TimeDelta,
    /// The queue's name.
    pub queue: &'a str,
    /// What is pushed.
    pub payload: Cow<'a, str>,
    /// When it is skipped.
    pub guard: Guard,
    /// What identical payloads have in common with this one, where that is not all of it
    /// ([`crate::core::job::Job::fixed_parts`]); only looked at where the guard allows no overlap.
    pub fixed_parts: Option<Vec<String>>,
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
    /// The entry is paused, or all are. It is settled: its fire time is recorded as fired.
    Paused,
    /// Its queue can't take it; Redis' words. Only its history says so.
    Rejected(String),
    /// By Redis' clock it is not due for longer than [`crate::store::Store::max_clock_skew`]. Nothing was recorded.
    TooEarly,
    /// To search its queue would have held Redis for too long, after what this call had searched before.
    /// Nothing was recorded; the first search of a call is always made.
    PutOff,
}

/// Fire times of an entry that were given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed<'a> {
    /// The entry's name.
    pub name: &'a str,
    /// The first of them.
    pub first: DateTime<Utc>,
    /// The last of them.
    pub last: DateTime<Utc>,
    /// How many they are; `None`: too many to be counted.
    pub count: Option<u32>,
}

/// What fire times that were given up are recorded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissedOutcome {
    /// As missed.
    Missed,
    /// As paused, and in the fence: the entry is paused, or all are, until after the last of them.
    Paused,
    /// As nothing: another scheduler has fired the last of them, or a later one.
    Fired,
}

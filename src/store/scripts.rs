//! The Lua scripts: what each is called with, and what it answers. The rules are in their headers.

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use redis::{FromRedisValue, ParsingError, Script, Value};

use super::Lease;
use crate::core::guard::SkipReason;

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
}

/// What became of one delayed item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoveOutcome {
    /// It is where it was to go.
    Moved,
    /// Not moved: an app removed it, or it stands behind a rejected one.
    Left,
    /// Its target can't take it; Redis' words. It heads its bucket now.
    Rejected(String),
}

/// What `lease.lua` answers.
pub(super) struct LeaseReply {
    pub(super) lease: Lease,
    /// Redis' clock.
    pub(super) time: DateTime<Utc>,
}

/// What `due.lua` answers.
pub(super) struct DueReply {
    /// The score of the last bucket, if the batch is full.
    pub(super) last_score: Option<String>,
    /// Each bucket: its member, and its items or why it can't be read.
    pub(super) buckets: Vec<(Vec<u8>, Result<Items, String>)>,
}

type Items = Vec<Vec<u8>>;

macro_rules! scripts {
    ($($name:ident: $file:literal,)*) => {
        $(pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!(concat!("lua/", $file))));)*
    };
}

scripts! {
    LEASE: "lease.lua",
    RELEASE: "release.lua",
    SEEN: "seen.lua",
    SETTLE: "settle.lua",
    FIRE: "fire.lua",
    DUE: "due.lua",
    MOVE: "move.lua",
}

impl FromRedisValue for LeaseReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        type Reply = (i64, Vec<u8>, i64, i64, u32);
        let (outcome, holder, ttl, seconds, micros): Reply =
            FromRedisValue::from_redis_value(value)?;
        let lease = match outcome {
            1 => Lease::Renewed,
            0 => Lease::Taken,
            _ => Lease::HeldBy {
                holder: String::from_utf8_lossy(&holder).into_owned(),
                remaining: u64::try_from(ttl).ok().map(Duration::from_millis),
            },
        };
        let time = DateTime::from_timestamp(seconds, micros.saturating_mul(1000));
        let time =
            time.ok_or_else(|| ParsingError::from("Redis' clock shows no date".to_owned()))?;
        Ok(Self { lease, time })
    }
}

impl FromRedisValue for FireOutcome {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::Int(1) => Ok(Self::Fired),
            Value::Int(0) => Ok(Self::AlreadyFired),
            Value::Int(2) => Ok(Self::Skipped(SkipReason::QueueFull)),
            Value::Int(3) => Ok(Self::Skipped(SkipReason::Queued)),
            Value::Int(4) => Ok(Self::Skipped(SkipReason::Running)),
            Value::Int(5) => Ok(Self::HadAll),
            other => String::from_redis_value(other).map(Self::Rejected),
        }
    }
}

/// What `move.lua` answers: the outcomes of those items that were not moved, by their numbers.
pub(super) struct NotMoved(Vec<(usize, MoveOutcome)>);

impl NotMoved {
    /// The outcomes of all of so many items.
    pub(super) fn among(self, items: usize) -> Vec<MoveOutcome> {
        let mut outcomes = vec![MoveOutcome::Moved; items];
        for (number, outcome) in self.0 {
            if let Some(place) = number.checked_sub(1).and_then(|it| outcomes.get_mut(it)) {
                *place = outcome;
            }
        }
        outcomes
    }
}

impl FromRedisValue for NotMoved {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let outcome = |value| match value {
            Value::Int(0) => Ok(MoveOutcome::Left),
            other => String::from_redis_value(other).map(MoveOutcome::Rejected),
        };
        let mut flat = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut not_moved = vec![];
        while let (Some(number), Some(what)) = (flat.next(), flat.next()) {
            not_moved.push((usize::from_redis_value(number)?, outcome(what)?));
        }
        Ok(Self(not_moved))
    }
}

impl FromRedisValue for DueReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut flat = Vec::<Value>::from_redis_value(value)?.into_iter();
        let last_score = flat.next().map_or(Ok(None), Option::from_redis_value)?;
        let mut buckets = vec![];
        while let (Some(member), Some(what)) = (flat.next(), flat.next()) {
            let items = match what {
                Value::Int(count) => {
                    let items = flat.by_ref().take(usize::try_from(count).unwrap_or(0));
                    Ok(items.map(Vec::from_redis_value).collect::<Result<_, _>>()?)
                }
                error => Err(String::from_redis_value(error)?),
            };
            buckets.push((Vec::from_redis_value(member)?, items));
        }
        Ok(Self {
            last_score,
            buckets,
        })
    }
}

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

/// One bucket as `read.lua` found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BucketItems {
    Items(Vec<Vec<u8>>),
    Unreadable(String),
}

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
    READ: "read.lua",
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

impl FromRedisValue for MoveOutcome {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::Int(1) => Ok(Self::Moved),
            Value::Int(0) => Ok(Self::Left),
            other => String::from_redis_value(other).map(Self::Rejected),
        }
    }
}

impl FromRedisValue for BucketItems {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::Array(_) => FromRedisValue::from_redis_value(value).map(Self::Items),
            other => String::from_redis_value(other).map(Self::Unreadable),
        }
    }
}

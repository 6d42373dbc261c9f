//! The Lua scripts: what each is called with, and what it answers. The rules are in their headers.

use std::{sync::LazyLock, time::Duration};

use redis::{FromRedisValue, ParsingError, Script, Value};

use super::Lease;

/// What became of one fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FireOutcome {
    /// Its payload is in the queue.
    Fired,
    /// It was enqueued before, by us or by another scheduler.
    AlreadyFired,
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
    FIRE: "fire.lua",
    READ: "read.lua",
    MOVE: "move.lua",
}

impl FromRedisValue for Lease {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::Int(1) => Ok(Self::Renewed),
            Value::Int(0) => Ok(Self::Taken),
            other => {
                let (holder, ttl): (String, i64) = FromRedisValue::from_redis_value(other)?;
                let remaining = u64::try_from(ttl).ok().map(Duration::from_millis);
                Ok(Self::HeldBy { holder, remaining })
            }
        }
    }
}

impl FromRedisValue for FireOutcome {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::Int(1) => Ok(Self::Fired),
            Value::Int(0) => Ok(Self::AlreadyFired),
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

//! The Lua scripts: what each is called with, and what it answers. The rules are in their headers.

use std::sync::LazyLock;

use redis::{FromRedisValue, ParsingError, Script, Value};

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

/// What became of a batch of delayed items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MoveOutcome {
    /// How many are in their queues (or the quarantine) now.
    pub moved: usize,
    /// Those that are still in their buckets: place in the batch (from 0), and Redis' words.
    pub rejected: Vec<(usize, String)>,
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
        let (moved, rejected): (usize, Vec<(usize, String)>) =
            FromRedisValue::from_redis_value(value)?;
        let rejected = rejected
            .into_iter()
            .map(|(place, error)| (place - 1, error))
            .collect();
        Ok(Self { moved, rejected })
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

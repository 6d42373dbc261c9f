//! The Lua scripts: what each is called with, and what it answers. The rules are in their headers.

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use redis::{FromRedisValue, ParsingError, Script, Value};

use crate::{
    core::{excerpt::excerpt, schedule::overlap::SkipReason},
    store::{Bucket, Due, Lease, Place},
};

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
    /// By Redis' clock it is not due for longer than [`super::Store::max_clock_skew`]. Nothing was recorded.
    TooEarly,
    /// To search its queue would have held Redis for too long, after what this call had searched before.
    /// Nothing was recorded; the first search of a call is always made.
    PutOff,
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
    /// Our user may not write its queue; it heads its bucket now.
    Denied(String),
    /// Not moved: by Redis' clock it is not due for longer than [`super::Store::max_clock_skew`].
    TooEarly,
}

/// What `lease.lua` answers.
pub(super) struct LeaseReply {
    pub(super) lease: Lease,
    /// Redis' clock.
    pub(super) time: DateTime<Utc>,
}

/// What `due.lua` answers.
pub(super) struct DueReply {
    /// Whether the batch is full.
    pub(super) full: bool,
    /// The score of the last bucket, and how many members of that score are before it.
    pub(super) last: Option<(String, usize)>,
    /// Each bucket: its member, and what is in it.
    pub(super) buckets: Vec<(Vec<u8>, Content)>,
}

impl DueReply {
    /// What is due at `now`.
    pub(super) fn due(self, now: DateTime<Utc>) -> Due {
        let mut due = Due {
            full: self.full,
            ..Due::default()
        };
        due.last = self.last.zip(self.buckets.last()).map(|(last, bucket)| {
            let ((score, before), (member, content)) = (last, bucket);
            let items = match content {
                Content::Items(items) => items.len(),
                Content::TooLarge(_) | Content::Unreadable(_) => 0,
            };
            Place {
                score,
                before,
                member: member.clone(),
                items,
            }
        });
        for (member, content) in self.buckets {
            match content {
                Content::Items(items) => {
                    let seconds = str::from_utf8(&member).ok().and_then(|it| it.parse().ok());
                    let at = seconds.and_then(|it| DateTime::from_timestamp(it, 0));
                    due.buckets.push(Bucket {
                        due: at.map_or(now, |at| at.min(now)),
                        member,
                        items,
                    });
                }
                Content::TooLarge(bytes) => due.too_large.push((member, bytes)),
                Content::Unreadable(reason) => due.unreadable.push((member, reason)),
            }
        }
        due
    }
}

/// What `due.lua` has found in a bucket.
pub(super) enum Content {
    Items(Vec<Vec<u8>>),
    /// An item of so many bytes is next.
    TooLarge(usize),
    /// Why it can't be read.
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
    TIME: "time.lua",
    SEEN: "seen.lua",
    FORGET: "forget.lua",
    SETTLE: "settle.lua",
    FIRE: "fire.lua",
    DUE: "due.lua",
    MOVE: "move.lua",
    ASIDE: "aside.lua",
    PROBE: "probe.lua",
}

/// [`super::Store::max_clock_skew`] as scripts take it: milliseconds, or nothing.
pub(super) fn max_skew(max_skew: Option<TimeDelta>) -> String {
    max_skew.map_or_else(String::new, |it| it.num_milliseconds().to_string())
}

/// Redis' words, for people.
fn words(value: Value) -> Result<String, ParsingError> {
    Ok(excerpt(&String::from_redis_value(value)?).into_owned())
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
        let time = time((seconds, micros))?;
        Ok(Self { lease, time })
    }
}

/// The instant that `TIME` tells, in seconds and microseconds.
fn time((seconds, micros): (i64, u32)) -> Result<DateTime<Utc>, ParsingError> {
    let time = DateTime::from_timestamp(seconds, micros.saturating_mul(1000));
    time.ok_or_else(|| ParsingError::from("Redis' clock shows no date".to_owned()))
}

/// What `time.lua` answers.
pub(super) struct TimeReply(pub(super) DateTime<Utc>);

impl FromRedisValue for TimeReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        time(FromRedisValue::from_redis_value(value)?).map(Self)
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
            Value::Int(6) => Ok(Self::TooEarly),
            Value::Int(7) => Ok(Self::PutOff),
            other => words(other).map(Self::Rejected),
        }
    }
}

/// What `move.lua` answers: the outcomes of those items that were not moved, by their numbers. One that is
/// too early stands for all behind it.
pub(super) struct NotMoved(Vec<(usize, MoveOutcome)>);

impl NotMoved {
    /// The outcomes of all of so many items.
    pub(super) fn among(self, items: usize) -> Vec<MoveOutcome> {
        let mut outcomes = vec![MoveOutcome::Moved; items];
        for (number, outcome) in self.0 {
            let rest = number.checked_sub(1).and_then(|it| outcomes.get_mut(it..));
            match (rest, outcome) {
                (Some(rest), MoveOutcome::TooEarly) => rest.fill(MoveOutcome::TooEarly),
                (Some([place, ..]), outcome) => *place = outcome,
                _ => {}
            }
        }
        outcomes
    }
}

impl FromRedisValue for NotMoved {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut flat = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut not_moved = vec![];
        while let (Some(number), Some(what)) = (flat.next(), flat.next()) {
            let outcome = MoveOutcome::from_redis_value(what)?;
            not_moved.push((usize::from_redis_value(number)?, outcome));
        }
        Ok(Self(not_moved))
    }
}

impl FromRedisValue for DueReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut flat = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut next = || flat.next().unwrap_or(Value::Nil);
        let full = FromRedisValue::from_redis_value(next())?;
        let score = Option::from_redis_value(next())?;
        let before = Option::from_redis_value(next())?;
        let mut buckets = vec![];
        while let (Some(member), Some(what)) = (flat.next(), flat.next()) {
            let content = match what {
                Value::Int(size @ ..0) => {
                    Content::TooLarge(size.unsigned_abs().try_into().unwrap_or(usize::MAX))
                }
                Value::Int(count) => {
                    let items = flat.by_ref().take(usize::try_from(count).unwrap_or(0));
                    Content::Items(items.map(Vec::from_redis_value).collect::<Result<_, _>>()?)
                }
                error => Content::Unreadable(words(error)?),
            };
            buckets.push((Vec::from_redis_value(member)?, content));
        }
        Ok(Self {
            full,
            last: score.zip(before),
            buckets,
        })
    }
}

impl FromRedisValue for MoveOutcome {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::Int(1) => Ok(Self::Moved),
            Value::Int(0) => Ok(Self::Left),
            Value::Int(2) => Ok(Self::TooEarly),
            other => words(other).map(Self::Rejected),
        }
    }
}

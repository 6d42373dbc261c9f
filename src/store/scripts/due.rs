//! `due.lua`: reads the oldest due buckets.

use chrono::{DateTime, Utc};
use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value};

use crate::store::{
    keys::Keys,
    port::delayed::{BatchLimit, Bucket, Due, Passed, Place},
    scripts::reply::words,
};

script!("due.lua");

/// Builds the call that reads what is due at `now`, starting at `from`, up to `limit`.
pub(in crate::store) fn call(
    keys: &Keys,
    holder: &str,
    now: DateTime<Utc>,
    limit: BatchLimit,
    from: Option<&Place>,
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock()).key(keys.delayed_schedule());
    call.arg(holder)
        .arg(keys.bucket(b""))
        .arg(from.map_or("-inf", |from| &from.score))
        .arg(now.timestamp())
        .arg(from.map_or(0, |from| from.before))
        .arg(limit.count)
        .arg(limit.bytes)
        .arg(limit.item);
    match from {
        Some(from) => call.arg(&from.member).arg(from.items),
        None => call.arg("").arg(0),
    };
    call
}

/// The reply of `due.lua`.
pub(in crate::store) struct DueReply {
    /// Whether the batch is full.
    pub(in crate::store) full: bool,
    /// Score of the last bucket, and the number of members of that score before it.
    pub(in crate::store) last: Option<(String, usize)>,
    /// Member and content of each bucket. A bucket whose too large item is not its first is there twice.
    pub(in crate::store) buckets: Vec<(Vec<u8>, Content)>,
}

impl DueReply {
    /// Converts the reply to a call with this `now` and `from`.
    pub(in crate::store) fn due(self, now: DateTime<Utc>, from: Option<&Place>) -> Due {
        let mut due = Due {
            full: self.full,
            ..Due::default()
        };
        let last = self.buckets.last().map(|(member, _)| member.clone());
        let mut passed = from.and_then(|from| {
            let last = from.staying.clone()?;
            let items = from.items;
            Some((&from.member, Passed { items, last }))
        });
        for (member, content) in self.buckets {
            let passed = passed.take().filter(|(of, _)| **of == member);
            let passed = passed.map(|(_, passed)| passed);
            let (items, is_large) = match content {
                Content::Items(items) => (items, false),
                Content::TooLarge(bytes) => {
                    due.too_large.push((member.clone(), bytes));
                    (vec![], true)
                }
                Content::Unreadable(reason) => {
                    due.unreadable.push((member, reason));
                    continue;
                }
            };
            if !is_large || passed.is_some() {
                let seconds = str::from_utf8(&member).ok().and_then(|it| it.parse().ok());
                let at = seconds.and_then(|it| DateTime::from_timestamp(it, 0));
                due.buckets.push(Bucket {
                    due: at.map_or(now, |at| at.min(now)),
                    member,
                    items,
                    passed,
                });
            }
        }
        due.last = self.last.zip(last).map(|((score, before), member)| {
            let bucket = due.buckets.last().filter(|it| it.member == member);
            let passed = bucket.and_then(|it| it.passed.as_ref());
            Place {
                score,
                before,
                items: bucket.map_or(0, |it| it.items.len()) + passed.map_or(0, |it| it.items),
                member,
                staying: None,
            }
        });
        due
    }
}

/// What `due.lua` found in a bucket.
pub(in crate::store) enum Content {
    Items(Vec<Vec<u8>>),
    /// Size in bytes of the next item, which is too large.
    TooLarge(usize),
    /// Redis' error.
    Unreadable(String),
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

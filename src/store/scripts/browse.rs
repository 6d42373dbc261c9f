//! `browse.lua`: reads delayed jobs, one page per call.

use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value};

use crate::store::{
    console::jobs::{Cursor, DelayedJob, Span},
    keys::Keys,
};

script!("browse.lua");

/// Number of items, and of bytes, after which a page is full. Other clients wait during a call.
const ITEMS: usize = 2_000;
const BYTES: usize = 1 << 20;

/// Builds the call for the page of `span` that begins at `cursor`.
pub(in crate::store) fn call(
    keys: &Keys,
    span: &Span,
    cursor: &Cursor,
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.delayed_schedule());
    let first = cursor.score.clone().unwrap_or_else(|| span.first());
    call.arg(keys.bucket(b""))
        .arg(first)
        .arg(span.last())
        .arg(cursor.members)
        .arg(cursor.items)
        .arg(ITEMS)
        .arg(BYTES);
    call
}

/// The reply of `browse.lua`.
pub(in crate::store) struct BrowseReply {
    /// Where the next page begins.
    pub(in crate::store) next: Option<Cursor>,
    /// The jobs of this page.
    pub(in crate::store) jobs: Vec<DelayedJob>,
}

impl FromRedisValue for BrowseReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut flat = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut next = || flat.next().unwrap_or(Value::Nil);
        let score = String::from_redis_value(next())?;
        let members = usize::from_redis_value(next())?;
        let items = usize::from_redis_value(next())?;
        let mut jobs = vec![];
        while let Some(member) = flat.next() {
            let member = Vec::<u8>::from_redis_value(member)?;
            let mut next = || flat.next().unwrap_or(Value::Nil);
            let score = f64::from_redis_value(next())?;
            let first = usize::from_redis_value(next())?;
            let count = usize::from_redis_value(next())?;
            for index in first..first + count {
                jobs.push(DelayedJob {
                    member: member.clone(),
                    score,
                    index,
                    item: Vec::from_redis_value(next())?,
                });
            }
        }
        let next = (!score.is_empty()).then_some(Cursor {
            score: Some(score),
            members,
            items,
        });
        Ok(Self { next, jobs })
    }
}

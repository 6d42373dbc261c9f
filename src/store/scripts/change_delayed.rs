//! `change_delayed.lua`: removes delayed jobs, enqueues them now, or moves them to another time.

use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value};

use crate::store::{
    console::jobs::{DelayedChange, DelayedJob, DelayedOutcome},
    keys::Keys,
    scripts::reply::unexpected,
};

script!("change_delayed.lua");

/// Builds the call. Each job comes with its change.
pub(in crate::store) fn call(
    keys: &Keys,
    jobs: &[(DelayedJob, DelayedChange)],
    target: Option<i64>,
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.delayed_schedule()).key(keys.queues());
    call.arg(keys.bucket(b""))
        .arg(keys.timestamps(b""))
        .arg(keys.queue(""))
        .arg(target.map_or_else(String::new, |it| it.to_string()));
    for (job, change) in jobs {
        call.arg(&job.member).arg(job.index).arg(&job.item);
        match change {
            DelayedChange::Enqueue { queue, payload } => call.arg(queue).arg(payload),
            DelayedChange::Remove | DelayedChange::Move => call.arg("").arg(""),
        };
    }
    call
}

impl FromRedisValue for DelayedOutcome {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::Int(1) => Ok(Self::Done),
            Value::Int(0) => Ok(Self::Gone),
            Value::Int(2) => Ok(Self::NotTried),
            Value::BulkString(error) => {
                Ok(Self::Rejected(String::from_utf8_lossy(&error).into_owned()))
            }
            other => Err(unexpected(&other)),
        }
    }
}

//! `missed.lua`: records in the histories of entries which fires were missed and are not enqueued.

use chrono::{DateTime, Utc};
use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value};

use crate::store::{
    keys::Keys,
    port::fires::{Missed, MissedOutcome},
    scripts::reply::unexpected,
};

script!("history.lua", "missed.lua");

/// Builds the call in which `holder` records `missed` as of `now`. A history has `history` records at most.
pub(in crate::store) fn call(
    keys: &Keys,
    holder: &str,
    missed: &[Missed<'_>],
    now: DateTime<Utc>,
    history: usize,
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock()).key(keys.fired());
    call.arg(holder)
        .arg(keys.history(""))
        .arg(history)
        .arg(now.timestamp_millis())
        .arg(keys.paused());
    for missed in missed {
        let count = missed.count.map_or("-".to_owned(), |it| it.to_string());
        call.arg(missed.name)
            .arg(missed.first.timestamp())
            .arg(missed.last.timestamp())
            .arg(count);
    }
    call
}

impl FromRedisValue for MissedOutcome {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::Int(0) => Ok(Self::Fired),
            Value::Int(1) => Ok(Self::Missed),
            Value::Int(8) => Ok(Self::Paused),
            other => Err(unexpected(&other)),
        }
    }
}

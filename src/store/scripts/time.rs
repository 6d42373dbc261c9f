//! `time.lua`: what Redis' clock shows.

use chrono::{DateTime, Utc};
use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value};

use crate::store::{keys::Keys, scripts::reply::time};

script!("time.lua");

/// Makes the call.
pub(in crate::store) fn call(keys: &Keys) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock());
    call
}

/// What `time.lua` answers.
pub(in crate::store) struct TimeReply(pub(in crate::store) DateTime<Utc>);

impl FromRedisValue for TimeReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        time(FromRedisValue::from_redis_value(value)?).map(Self)
    }
}

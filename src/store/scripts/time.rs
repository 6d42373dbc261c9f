//! `time.lua`: reads the time of Redis' clock.

use chrono::{DateTime, Utc};
use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value};

use crate::store::{
    keys::Keys,
    port::lease::Heartbeat,
    scripts::{add_heartbeat, reply::time},
};

script!("heartbeat.lua", "time.lua");

/// Builds the call. Publishes the status of `holder`, if there is a heartbeat.
pub(in crate::store) fn call(
    keys: &Keys,
    holder: &str,
    heartbeat: Option<&Heartbeat<'_>>,
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock()).arg(holder);
    add_heartbeat(&mut call, keys, holder, heartbeat);
    call
}

/// The reply of `time.lua`.
pub(in crate::store) struct TimeReply(pub(in crate::store) DateTime<Utc>);

impl FromRedisValue for TimeReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        time(FromRedisValue::from_redis_value(value)?).map(Self)
    }
}

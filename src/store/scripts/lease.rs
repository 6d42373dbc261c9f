//! `lease.lua`: takes or renews the lease.

use std::time::Duration;

use chrono::{DateTime, Utc};
use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value};

use crate::store::{
    keys::Keys,
    port::lease::{Heartbeat, Identity, Lease},
    scripts::{add_heartbeat, reply::time},
};

script!("heartbeat.lua", "lease.lua");

/// Builds the call. A lock without a TTL is taken from `stuck_holder`. Without a heartbeat, no status is
/// published.
pub(in crate::store) fn call(
    keys: &Keys,
    identity: &Identity,
    length: Duration,
    stuck_holder: Option<&str>,
    heartbeat: Option<&Heartbeat<'_>>,
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock()).key(keys.token());
    call.arg(&identity.holder)
        .arg(&identity.token)
        .arg(length.as_millis())
        .arg(stuck_holder.unwrap_or_default());
    add_heartbeat(&mut call, keys, &identity.holder, heartbeat);
    call
}

/// The reply of `lease.lua`.
pub(in crate::store) struct LeaseReply {
    pub(in crate::store) lease: Lease,
    /// The time of Redis' clock.
    pub(in crate::store) time: DateTime<Utc>,
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

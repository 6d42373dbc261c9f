//! `forget.lua`: removes all records of entries that left the schedule a day ago or earlier.

use chrono::{DateTime, Utc};
use redis::ScriptInvocation;

use crate::store::keys::Keys;

script!("forget.lua");

/// Builds the call. Each entry is its name and the time since when it is not in the schedule.
pub(in crate::store) fn call(
    keys: &Keys,
    holder: &str,
    entries: &[(String, DateTime<Utc>)],
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock())
        .key(keys.away())
        .key(keys.seen())
        .key(keys.fired())
        .key(keys.fires())
        .key(keys.stamps())
        .key(keys.last_enqueued_at());
    call.arg(holder).arg(keys.history("")).arg(keys.paused());
    for (name, since) in entries {
        call.arg(name).arg(since.timestamp());
    }
    call
}

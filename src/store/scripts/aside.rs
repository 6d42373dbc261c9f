//! `aside.lua`: moves an item that is too large to read to quarantine.

use chrono::{DateTime, Utc};
use redis::ScriptInvocation;

use crate::store::{keys::Keys, scripts::quarantine::record_aside};

script!("aside.lua");

/// Builds the call for the item of the bucket `member` that has `before` items before it.
///
/// The item is moved if it has more than `max_item` bytes and the quarantine has fewer than `max_quarantine`
/// records.
pub(in crate::store) fn call(
    keys: &Keys,
    holder: &str,
    (member, before): (&[u8], usize),
    reason: &str,
    now: DateTime<Utc>,
    (max_item, max_quarantine): (usize, usize),
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock())
        .key(keys.delayed_schedule())
        .key(keys.bucket(member));
    call.arg(holder)
        .arg(keys.timestamps(b""))
        .arg(member)
        .arg(max_item)
        .arg(max_quarantine)
        .arg(record_aside(member, reason, now))
        .arg(keys.quarantine())
        .arg(keys.aside(member))
        .arg(before);
    call
}

//! `count.lua`: counts delayed jobs.

use chrono::{DateTime, Utc};
use redis::ScriptInvocation;

use crate::store::keys::Keys;

script!("count.lua");

/// Number of buckets to count with one call. Other clients wait for it, one or two milliseconds.
const BUCKETS: usize = 2_000;

/// The reply of `count.lua`: jobs, due jobs, buckets, and where the next page begins (score, members to skip).
pub(in crate::store) type CountReply = (usize, usize, usize, String, usize);

/// Builds the call for the page that begins after `skip` members of the score `from`.
pub(in crate::store) fn call(
    keys: &Keys,
    now: DateTime<Utc>,
    from: &str,
    skip: usize,
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.delayed_schedule());
    call.arg(keys.bucket(b""))
        .arg(now.timestamp())
        .arg(from)
        .arg(skip)
        .arg(BUCKETS);
    call
}

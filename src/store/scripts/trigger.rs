//! `trigger.lua`: enqueues the job of an entry now.

use chrono::{DateTime, Utc};
use redis::ScriptInvocation;

use crate::{
    core::{firing::outcome::Cause, schedule::entry::Entry},
    store::keys::Keys,
};

script!("history.lua", "trigger.lua");

/// Maximum length of a history here. Commands do not know the `--history` of the scheduler, which shortens the list at the
/// next fire; this only keeps triggers from filling Redis while there is no scheduler.
const HISTORY: usize = 100_000;

/// Builds the call that enqueues the job of `entry` for a fire at `now`.
pub(in crate::store) fn call(
    keys: &Keys,
    entry: &Entry,
    now: DateTime<Utc>,
) -> ScriptInvocation<'static> {
    let queue = entry.job.queue();
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.queues());
    call.arg(keys.queue(queue))
        .arg(queue)
        .arg(&*entry.job.payload(Cause::Triggered, now))
        .arg(keys.history(&entry.name))
        .arg(HISTORY)
        .arg(now.timestamp_millis())
        .arg(now.timestamp());
    call
}

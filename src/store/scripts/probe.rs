//! `probe.lua`: checks which queues accept jobs.

use redis::ScriptInvocation;

use crate::store::keys::Keys;

script!("probe.lua");

/// Builds the call for these queues.
pub(in crate::store) fn call(keys: &Keys, queues: &[&str]) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock());
    for queue in queues {
        call.arg(keys.queue(queue));
    }
    call
}

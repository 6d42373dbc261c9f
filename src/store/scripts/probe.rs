//! `probe.lua`: whether our user may write keys.

use redis::ScriptInvocation;

use crate::store::keys::Keys;

script!("probe.lua");

/// Makes the call: the keys of these queues.
pub(in crate::store) fn call(keys: &Keys, queues: &[&str]) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    for queue in queues {
        call.key(keys.queue(queue));
    }
    call
}

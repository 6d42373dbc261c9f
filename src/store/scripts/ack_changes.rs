//! `ack_changes.lua`: take changes of dynamic entries out of the set of those to do.

use redis::ScriptInvocation;

use crate::store::keys::Keys;

script!("ack_changes.lua");

/// Makes the call: each change is a name and the JSON that is in force, empty if the entry is removed.
pub(in crate::store) fn call(
    keys: &Keys,
    holder: &str,
    changes: &[(Vec<u8>, Vec<u8>)],
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock())
        .key(keys.changed_entries())
        .key(keys.dynamic_entries());
    call.arg(holder);
    for (name, json) in changes {
        call.arg(name).arg(json);
    }
    call
}

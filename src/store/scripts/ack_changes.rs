//! `ack_changes.lua`: acknowledges changes of dynamic entries.

use redis::ScriptInvocation;

use crate::store::keys::Keys;

script!("ack_changes.lua");

/// Builds the call. Each change is a name and the JSON in force, empty if the entry is removed.
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

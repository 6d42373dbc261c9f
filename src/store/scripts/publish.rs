//! `publish.lua`: changes the published entries.

use redis::ScriptInvocation;

use crate::store::{keys::Keys, port::entries::Publication};

script!("publish.lua");

/// Builds the call.
pub(in crate::store) fn call(
    keys: &Keys,
    holder: &str,
    publications: &[Publication],
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock()).key(keys.entries());
    let with_json = publications.iter().filter(|it| it.json.is_some());
    call.arg(holder).arg(with_json.count());
    for Publication { name, json } in publications {
        if let Some(json) = json {
            call.arg(name).arg(json);
        }
    }
    for Publication { name, json } in publications {
        if json.is_none() {
            call.arg(name);
        }
    }
    call
}

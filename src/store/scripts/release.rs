//! `release.lua`: releases the lease and wakes a follower.

use redis::ScriptInvocation;

use crate::store::{keys::Keys, port::lease::Identity};

script!("release.lua");

/// Builds the call.
pub(in crate::store) fn call(keys: &Keys, identity: &Identity) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock()).key(keys.token()).key(keys.handover());
    call.arg(&identity.holder)
        .arg(&identity.token)
        .arg(keys.scheduler(&identity.holder))
        .arg(keys.schedulers());
    call
}

//! The Lua scripts, each beside the function that makes its call and the type of its reply. What a script is
//! called with, what it answers, and its rules are in its header.

use crate::store::{keys::Keys, port::lease::Heartbeat};

/// The script in the files beside the one that says this, one after the other.
macro_rules! script {
    ($($file:literal),+) => {
        static SCRIPT: std::sync::LazyLock<redis::Script> =
            std::sync::LazyLock::new(|| redis::Script::new(concat!($(include_str!($file)),+)));
    };
}

pub(super) mod ack_changes;
pub(super) mod aside;
pub(super) mod browse;
pub(super) mod change_delayed;
pub(super) mod count;
pub(super) mod due;
pub(super) mod fire;
pub(super) mod forget;
pub(super) mod lease;
pub(super) mod missed;
pub(super) mod r#move;
pub(super) mod names;
pub(super) mod probe;
pub(super) mod publish;
pub(super) mod quarantine;
pub(super) mod release;
pub(super) mod reply;
pub(super) mod restore;
pub(super) mod seen;
pub(super) mod time;
pub(super) mod trigger;

/// Adds the four arguments of `heartbeat.lua` to a call.
fn add_heartbeat(
    call: &mut redis::ScriptInvocation<'_>,
    keys: &Keys,
    holder: &str,
    heartbeat: Option<&Heartbeat<'_>>,
) {
    call.arg(keys.scheduler(holder)).arg(keys.schedulers());
    let (json, stays) = heartbeat.map_or_else(Default::default, |it| (it.json(), it.stays));
    call.arg(json).arg(stays.as_millis());
}

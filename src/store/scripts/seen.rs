//! `seen.lua`: records which entries are in the schedule.

use chrono::{DateTime, Utc};
use redis::ScriptInvocation;

use crate::store::{
    keys::Keys,
    port::records::{Away, RecordChange},
};

script!("seen.lua");

/// Builds the call for the changes of records as of `now`.
pub(in crate::store) fn call(
    keys: &Keys,
    holder: &str,
    changes: &[RecordChange],
    now: DateTime<Utc>,
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock())
        .key(keys.seen())
        .key(keys.fires())
        .key(keys.away());
    call.arg(holder);
    let seen = |at: DateTime<Utc>, timing: &str| format!("{} {timing}", at.timestamp());
    for change in changes {
        match change {
            RecordChange::First { name, timing } => {
                call.arg("first").arg(name).arg(seen(now, timing));
            }
            RecordChange::Reworded {
                name,
                first_seen,
                old,
                new,
            } => {
                call.arg("seen").arg(name);
                call.arg(seen(*first_seen, old)).arg(seen(*first_seen, new));
            }
            RecordChange::Left { name, was } => {
                let was = was.map_or_else(String::new, away_text);
                call.arg("away").arg(name).arg(was).arg(now.timestamp());
            }
            RecordChange::Returned { name, since } => {
                let (left, until) = (since.timestamp(), now.timestamp());
                call.arg("away").arg(name).arg(left);
                call.arg(format!("{left} {until}"));
            }
        }
    }
    call
}

fn away_text(Away { since, until }: Away) -> String {
    let since = since.timestamp();
    until.map_or_else(
        || since.to_string(),
        |until| format!("{since} {}", until.timestamp()),
    )
}

//! `restore.lua`: takes records out of the quarantine.

use redis::ScriptInvocation;

use crate::store::{console::jobs::Restored, keys::Keys};

script!("restore.lua");

/// Builds the call. Each record comes with the destination of its item.
pub(in crate::store) fn call(keys: &Keys, records: &[Restored]) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.delayed_schedule());
    call.arg(keys.quarantine())
        .arg(keys.bucket(b""))
        .arg(keys.timestamps(b""));
    for Restored { record, to } in records {
        let (member, item) = to
            .as_ref()
            .map_or((String::new(), &[][..]), |(member, item)| {
                (member.to_string(), &item[..])
            });
        call.arg(record).arg(member).arg(item);
    }
    call
}

//! What `move.lua` is told: which items go where, and how they become payloads.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use indexmap::IndexSet;
use redis::ScriptInvocation;
use serde_json::json;

use super::{Bucket, Keys, Target};

/// How many items `move.lua` pushes in one command: Lua can't unpack any number.
const LONGEST_RUN: usize = 1_000;

/// Adds the keys and arguments of the moves of all items of `buckets` to `targets` (as many, in the same
/// order), behind the first three keys and our name.
pub(super) fn add(
    call: &mut ScriptInvocation<'_>,
    keys: &Keys,
    buckets: &[Bucket],
    targets: &[Target],
) {
    let places = Places::of(targets, keys);
    call.key(&places.keys);
    call.arg(keys.timestamps(b""))
        .arg(keys.bucket(b""))
        .arg(places.queues.len())
        .arg(keys.queue("").len());
    // The target, and how it becomes the payload, of each kind of move that there is.
    let mut forms = IndexSet::new();
    let items = buckets.iter().flat_map(|bucket| &bucket.items);
    let moves: Vec<_> = items
        .zip(targets)
        .map(|(item, target)| {
            let form = (places.number(target), cut(item, target));
            (forms.insert_full(form).0 + 1, item, target)
        })
        .collect();
    call.arg(forms.len());
    for (target, cut) in &forms {
        let cut = cut.map_or_else(String::new, |bytes| bytes.to_string());
        call.arg(target).arg(cut);
    }
    let mut rest = &moves[..];
    for Bucket { member, items, .. } in buckets {
        let (ours, others) = rest.split_at(items.len());
        rest = others;
        let runs = ours.chunk_by(|(one, ..), (other, ..)| one == other);
        let runs: Vec<_> = runs.flat_map(|run| run.chunks(LONGEST_RUN)).collect();
        let of_all = match runs[..] {
            [run] => run[0].0,
            _ => 0,
        };
        call.arg(member).arg(items.len() << 16 | of_all);
        for run in runs {
            if of_all == 0 {
                call.arg(run.len() << 16 | run[0].0);
            }
            for (form, item, target) in run {
                call.arg(item);
                match target {
                    Target::Queue { payload, .. } if forms[form - 1].1.is_none() => {
                        call.arg(payload);
                    }
                    Target::Queue { .. } => {}
                    Target::Quarantine { reason, at } => {
                        call.arg(quarantine_record(member, item, reason, *at));
                    }
                }
            }
        }
    }
}

/// The keys to which a batch goes, each once.
struct Places<'t> {
    /// In order.
    queues: Vec<&'t str>,
    /// Those of the queues, and behind them the quarantine's, if it gets something.
    keys: Vec<String>,
}

impl<'t> Places<'t> {
    fn of(targets: &'t [Target], keys: &Keys) -> Self {
        let queues: BTreeSet<&str> = targets.iter().filter_map(queue).collect();
        let quarantine = targets.iter().any(|target| queue(target).is_none());
        let quarantine = quarantine.then(|| keys.quarantine());
        let names = queues.iter().map(|name| keys.queue(name));
        Self {
            keys: names.chain(quarantine).collect(),
            queues: queues.into_iter().collect(),
        }
    }

    /// Among the keys of `move.lua`, counted from 1, as Lua does.
    fn number(&self, target: &Target) -> usize {
        let index = queue(target).map(|name| self.queues.partition_point(|other| *other < name));
        index.unwrap_or(self.queues.len()) + 4
    }
}

fn queue(target: &Target) -> Option<&str> {
    match target {
        Target::Queue { name, .. } => Some(name),
        Target::Quarantine { .. } => None,
    }
}

/// How many bytes at the end of the item `}` replaces, so that the payload is left, as in what Ruby
/// writes: it need not be sent then.
fn cut(item: &[u8], target: &Target) -> Option<usize> {
    let Target::Queue { payload, .. } = target else {
        return None;
    };
    let same = payload.strip_suffix('}')?.as_bytes();
    item.starts_with(same).then_some(item.len() - same.len())
}

/// What the quarantine keeps of an item: all that is needed to judge it and to put it back.
/// `item`, or `item_base64` where it is not UTF-8.
fn quarantine_record(member: &[u8], item: &[u8], reason: &str, at: DateTime<Utc>) -> String {
    let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let bucket = format!("delayed:{}", String::from_utf8_lossy(member));
    let mut record = json!({ "reason": reason, "bucket": bucket, "quarantined_at": at });
    match str::from_utf8(item) {
        Ok(text) => record["item"] = text.into(),
        Err(_) => record["item_base64"] = BASE64_STANDARD.encode(item).into(),
    }
    record.to_string()
}

//! What `move.lua` is told: which items go where, and how they become payloads.

use std::{collections::BTreeSet, num::NonZeroU16};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use redis::ScriptInvocation;
use serde_json::json;

use super::{Bucket, Keys, Target};

/// How many items a run has at most, for `move.lua` pushes it with one command.
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
    let items = buckets.iter().flat_map(|bucket| &bucket.items);
    let moves: Vec<Move<'_>> = items
        .zip(targets)
        .map(|(item, target)| Move {
            item,
            target,
            form: (cut(item, target), places.number(target)),
        })
        .collect();
    let mut rest = &moves[..];
    for Bucket { member, items, .. } in buckets {
        let (ours, others) = rest.split_at(items.len());
        rest = others;
        let runs = ours.chunk_by(|one, other| one.form == other.form);
        let runs: Vec<_> = runs.flat_map(|run| run.chunks(LONGEST_RUN)).collect();
        call.arg(member);
        if runs.len() != 1 {
            call.arg(header(items.len(), (None, 0)));
        }
        for run in runs {
            let form = run[0].form;
            call.arg(header(run.len(), form));
            for Move { item, target, .. } in run {
                call.arg(item);
                match target {
                    Target::Queue { payload, .. } if form.0.is_none() => {
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

struct Move<'m> {
    item: &'m [u8],
    target: &'m Target,
    form: Form,
}

/// How an item becomes the payload ([`cut`]), and the number of its target among the keys.
type Form = (Option<NonZeroU16>, usize);

/// One number for all that `move.lua` is told of items. A batch has far fewer than 65,536 targets: the
/// command line allows no more than 10,000 items.
fn header(items: usize, (cut, target): Form) -> u64 {
    (items as u64) << 32 | u64::from(cut.map_or(0, NonZeroU16::get)) << 16 | target as u64
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
fn cut(item: &[u8], target: &Target) -> Option<NonZeroU16> {
    let Target::Queue { payload, .. } = target else {
        return None;
    };
    let same = payload.strip_suffix('}')?.as_bytes();
    let rest = item.strip_prefix(same)?;
    NonZeroU16::new(rest.len().try_into().ok()?)
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

//! What `move.lua` is told: which items go where, and how they become payloads.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU16,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use redis::ScriptInvocation;
use serde_json::{Value, json};

use crate::store::{Bucket, Keys, MoveOutcome, Target, keys::ASIDE};

/// How many items a run has at most, for `move.lua` pushes it with one command.
const LONGEST_RUN: usize = 1_000;

/// How many queues a batch may go to: a header has room for 65,535 keys, and some are no queues.
pub(super) const MOST_QUEUES: usize = 65_000;

/// Adds the keys and arguments of the moves of all items of `buckets` to `targets` (as many, in the same
/// order), behind the first three keys and our name. `quarantine` is how many records that may have.
pub(super) fn add(
    call: &mut ScriptInvocation<'_>,
    keys: &Keys,
    quarantine: usize,
    buckets: &[Bucket],
    targets: &[Target],
) {
    let places = Places::of(targets, keys);
    call.key(&places.keys);
    call.arg(keys.timestamps(b""))
        .arg(keys.bucket(b""))
        .arg(places.queues.len())
        .arg(keys.queue("").len())
        .arg(quarantine);
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

/// One number for all that `move.lua` is told of items.
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
        let queues = queues(targets);
        debug_assert!(queues.len() <= MOST_QUEUES);
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

/// The queues to which `targets` lead.
pub(super) fn queues(targets: &[Target]) -> BTreeSet<&str> {
    targets.iter().filter_map(queue).collect()
}

/// What is sent of a batch, and what became of the rest.
pub(super) struct Part {
    pub(super) buckets: Vec<Bucket>,
    pub(super) targets: Vec<Target>,
    /// Of each item of the whole batch; `None`: it is sent.
    outcomes: Vec<Option<MoveOutcome>>,
}

impl Part {
    /// The batch without the items for the queues in `held`, which say what becomes of these; and without
    /// what stands behind them in their buckets.
    pub(super) fn without(
        held: &BTreeMap<String, MoveOutcome>,
        buckets: &[Bucket],
        targets: &[Target],
    ) -> Self {
        let mut part = Self {
            buckets: vec![],
            targets: vec![],
            outcomes: vec![],
        };
        let mut targets = targets.iter();
        for bucket in buckets {
            let ours = targets.by_ref().take(bucket.items.len());
            let ours: Vec<&Target> = ours.collect();
            let is_held = |target: &&Target| queue(target).is_some_and(|it| held.contains_key(it));
            let sent = ours.iter().position(is_held).unwrap_or(ours.len());
            let (first, behind) = ours.split_at(sent);
            part.targets.extend(first.iter().map(|it| (*it).clone()));
            part.outcomes.extend(first.iter().map(|_| None));
            if let Some((head, behind)) = behind.split_first() {
                let outcome = queue(head).and_then(|queue| held.get(queue)).cloned();
                part.outcomes.push(outcome);
                let left = behind.iter().map(|_| Some(MoveOutcome::Left));
                part.outcomes.extend(left);
            }
            if sent > 0 || behind.is_empty() {
                let items = bucket.items[..sent].to_vec();
                part.buckets.push(Bucket {
                    items,
                    ..bucket.clone()
                });
            }
        }
        part
    }

    /// The outcomes of the whole batch, from those of what was sent.
    pub(super) fn outcomes(self, sent: Vec<MoveOutcome>) -> Vec<MoveOutcome> {
        let mut sent = sent.into_iter();
        let outcome = |it: Option<MoveOutcome>| it.or_else(|| sent.next());
        let outcomes = self.outcomes.into_iter().map(outcome);
        outcomes.map(|it| it.unwrap_or(MoveOutcome::Left)).collect()
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
    let mut record = record(member, reason, at);
    match str::from_utf8(item) {
        Ok(text) => record["item"] = text.into(),
        Err(_) => record["item_base64"] = BASE64_STANDARD.encode(item).into(),
    }
    record.to_string()
}

/// The record of an item that is set aside in a list of its own, up to the number of its bytes.
pub(super) fn record_aside(member: &[u8], reason: &str, at: DateTime<Utc>) -> String {
    let mut record = record(member, reason, at);
    record["item_key"] = format!("{ASIDE}{}", String::from_utf8_lossy(member)).into();
    let record = record.to_string();
    let open = record.strip_suffix('}').unwrap_or(&record);
    format!("{open},\"item_bytes\":")
}

fn record(member: &[u8], reason: &str, at: DateTime<Utc>) -> Value {
    let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let bucket = format!("delayed:{}", String::from_utf8_lossy(member));
    json!({ "reason": reason, "bucket": bucket, "quarantined_at": at })
}

#[cfg(test)]
mod tests {
    use redis::Script;

    use super::*;

    fn to(queue: &str) -> Target {
        Target::Queue {
            name: queue.to_owned(),
            payload: "{}".to_owned(),
        }
    }

    fn bucket(member: &str, items: usize) -> Bucket {
        Bucket {
            member: member.into(),
            due: DateTime::UNIX_EPOCH,
            items: vec![b"item".to_vec(); items],
        }
    }

    #[test]
    fn a_header_has_room_for_the_targets_of_the_largest_batch() {
        let script = Script::new("");
        let mut call = script.prepare_invoke();
        let targets: Vec<_> = (0..MOST_QUEUES).map(|it| to(&format!("{it:05}"))).collect();
        let places = Places::of(&targets, &Keys::new("resque", None));
        call.key(&places.keys);
        let last = places.number(&targets[MOST_QUEUES - 1]);
        let quarantine = places.number(&Target::Quarantine {
            reason: String::new(),
            at: DateTime::UNIX_EPOCH,
        });
        assert_eq!((last, quarantine), (MOST_QUEUES + 3, MOST_QUEUES + 4));
        assert_eq!(header(1, (None, quarantine)) >> 16, 1 << 16, "it overflows");
    }

    #[test]
    fn what_stands_behind_a_held_item_in_its_bucket_is_not_sent() {
        let denied = MoveOutcome::Denied("why".to_owned());
        let held = BTreeMap::from([("bad".to_owned(), denied.clone())]);
        let buckets = [
            bucket("1", 3),
            bucket("2", 1),
            bucket("3", 0),
            bucket("4", 2),
        ];
        let targets = ["good", "bad", "good", "bad", "good", "good"].map(to);
        let part = Part::without(&held, &buckets, &targets);
        let sent = [bucket("1", 1), bucket("3", 0), bucket("4", 2)];
        assert_eq!(part.buckets, sent);
        assert_eq!(part.targets, [to("good"), to("good"), to("good")]);
        let moved = MoveOutcome::Moved;
        assert_eq!(
            part.outcomes(vec![moved.clone(), moved.clone(), MoveOutcome::Left]),
            [
                moved.clone(),
                denied.clone(),
                MoveOutcome::Left,
                denied,
                moved,
                MoveOutcome::Left
            ]
        );
    }
}

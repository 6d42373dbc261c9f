//! `move.lua`: move the items of buckets to their queues.

use std::{collections::BTreeSet, num::NonZeroU16};

use chrono::TimeDelta;
use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value};

use crate::store::{
    keys::Keys,
    port::delayed::{Bucket, MoveOutcome, Target},
    scripts::{
        quarantine::quarantine_record,
        reply::{self, words},
    },
};

script!("move.lua");

/// How many items a run has at most, for `move.lua` pushes it with one command.
const LONGEST_RUN: usize = 1_000;

/// How many queues a batch may go to: a header has room for 65,535 keys, and some are no queues.
pub(in crate::store) const MOST_QUEUES: usize = 65_000;

/// Makes the call: the moves of all items of `buckets` to `targets` (as many, in the same order), unless Redis'
/// clock is more than `max_skew` behind them. The quarantine may have `max_quarantine` records.
pub(in crate::store) fn call(
    keys: &Keys,
    holder: &str,
    max_skew: Option<TimeDelta>,
    max_quarantine: usize,
    buckets: &[Bucket],
    targets: &[Target],
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock())
        .key(keys.delayed_schedule())
        .key(keys.queues());
    call.arg(holder).arg(reply::max_skew(max_skew));
    let places = Places::of(targets, keys);
    call.key(&places.keys);
    call.arg(keys.timestamps(b""))
        .arg(keys.bucket(b""))
        .arg(places.queues.len())
        .arg(keys.queue("").len())
        .arg(max_quarantine);
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
    call
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
pub(in crate::store) fn queues(targets: &[Target]) -> BTreeSet<&str> {
    targets.iter().filter_map(queue).collect()
}

/// The queue to which a target leads; `None`: quarantine.
pub(in crate::store) fn queue(target: &Target) -> Option<&str> {
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

/// What `move.lua` answers: the outcomes of those items that were not moved, by their numbers. One that is
/// too early stands for all behind it.
pub(in crate::store) struct NotMoved(Vec<(usize, MoveOutcome)>);

impl NotMoved {
    /// The outcomes of all of so many items.
    pub(in crate::store) fn among(self, items: usize) -> Vec<MoveOutcome> {
        let mut outcomes = vec![MoveOutcome::Moved; items];
        for (number, outcome) in self.0 {
            let rest = number.checked_sub(1).and_then(|it| outcomes.get_mut(it..));
            match (rest, outcome) {
                (Some(rest), MoveOutcome::TooEarly) => rest.fill(MoveOutcome::TooEarly),
                (Some([place, ..]), outcome) => *place = outcome,
                _ => {}
            }
        }
        outcomes
    }
}

impl FromRedisValue for NotMoved {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut flat = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut not_moved = vec![];
        while let (Some(number), Some(what)) = (flat.next(), flat.next()) {
            let outcome = MoveOutcome::from_redis_value(what)?;
            not_moved.push((usize::from_redis_value(number)?, outcome));
        }
        Ok(Self(not_moved))
    }
}

impl FromRedisValue for MoveOutcome {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::Int(1) => Ok(Self::Moved),
            Value::Int(0) => Ok(Self::Left),
            Value::Int(2) => Ok(Self::TooEarly),
            other => words(other).map(Self::Rejected),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use redis::Script;

    use super::*;

    fn to(queue: &str) -> Target {
        Target::Queue {
            name: queue.to_owned(),
            payload: "{}".to_owned(),
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
}

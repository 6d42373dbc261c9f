//! `move.lua`: moves the items of buckets to their queues.

use std::{collections::BTreeSet, num::NonZeroU16};

use chrono::TimeDelta;
use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value};

use crate::store::{
    keys::Keys,
    port::delayed::{Bucket, Destination, MoveOutcome},
    scripts::{
        quarantine::quarantine_record,
        reply::{self, words},
    },
};

script!("move.lua");

/// Maximum number of items in a run. `move.lua` pushes a run with one command.
const LONGEST_RUN: usize = 1_000;

/// Maximum number of queues in a batch. A header has room for 65,535 targets, and two of them are not queues.
pub(in crate::store) const MOST_QUEUES: usize = 65_000;

/// Builds the call that moves all items of `buckets` to `targets`, one target per item in the same order.
///
/// Items that are due later than `max_skew` after Redis' clock are not moved. The quarantine may have
/// `max_quarantine` records.
pub(in crate::store) fn call(
    keys: &Keys,
    holder: &str,
    max_skew: Option<TimeDelta>,
    max_quarantine: usize,
    buckets: &[Bucket],
    targets: &[Destination],
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock())
        .key(keys.delayed_schedule())
        .key(keys.queues());
    call.arg(holder).arg(reply::max_skew(max_skew));
    call.arg(keys.timestamps(b""))
        .arg(keys.bucket(b""))
        .arg(keys.queue(""))
        .arg(keys.quarantine())
        .arg(max_quarantine);
    match buckets.first().and_then(|bucket| bucket.passed.as_ref()) {
        Some(passed) => call.arg(passed.items).arg(&passed.last),
        None => call.arg(0).arg(""),
    };
    let queues: Vec<&str> = queues(targets).into_iter().collect();
    debug_assert!(queues.len() <= MOST_QUEUES);
    call.arg(queues.len()).arg(&queues);
    let items = buckets.iter().flat_map(|bucket| &bucket.items);
    let moves: Vec<Move<'_>> = items
        .zip(targets)
        .map(|(item, target)| Move {
            item,
            target,
            form: (cut(item, target), number(target, &queues)),
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
                    Destination::Queue { payload, .. } if form.0.is_none() => {
                        call.arg(payload);
                    }
                    Destination::Queue { .. } | Destination::Stay { .. } => {}
                    Destination::Quarantine { reason, at } => {
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
    target: &'m Destination,
    form: Form,
}

/// How an item becomes its payload ([`cut`]), and the number of its target.
type Form = (Option<NonZeroU16>, usize);

/// Encodes a header, as `move.lua` describes it.
fn header(items: usize, (cut, target): Form) -> u64 {
    (items as u64) << 32 | u64::from(cut.map_or(0, NonZeroU16::get)) << 16 | target as u64
}

/// Returns the number of a target, as `move.lua` counts them. `queues` must be sorted.
fn number(target: &Destination, queues: &[&str]) -> usize {
    match target {
        Destination::Stay { .. } => 1,
        Destination::Quarantine { .. } => 2,
        Destination::Queue { name, .. } => 3 + queues.partition_point(|other| **other < **name),
    }
}

/// Returns the queues among `targets`, sorted.
pub(in crate::store) fn queues(targets: &[Destination]) -> BTreeSet<&str> {
    let queues = targets.iter().filter_map(|target| match target {
        Destination::Queue { name, .. } => Some(&**name),
        Destination::Quarantine { .. } | Destination::Stay { .. } => None,
    });
    queues.collect()
}

/// Returns how many bytes at the end of `item` to replace with `}` to get the payload, if that works.
///
/// It does for items that Ruby writes. The payload need not be sent then.
fn cut(item: &[u8], target: &Destination) -> Option<NonZeroU16> {
    let Destination::Queue { payload, .. } = target else {
        return None;
    };
    let same = payload.strip_suffix('}')?.as_bytes();
    let rest = item.strip_prefix(same)?;
    NonZeroU16::new(rest.len().try_into().ok()?)
}

/// The reply of `move.lua`: number and outcome of each item that was not moved.
///
/// If an item is too early, so are all items after it.
pub(in crate::store) struct NotMoved(Vec<(usize, MoveOutcome)>);

impl NotMoved {
    /// Returns the outcome of each of the `items` items of the call.
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
            Value::Int(3) => Ok(Self::Stays),
            other => words(other).map(|words| {
                if words.starts_with("NOPERM") {
                    Self::Denied(words)
                } else {
                    Self::Rejected(words)
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_room_for_the_targets_of_the_largest_batch() {
        let names: Vec<String> = (0..MOST_QUEUES).map(|it| format!("{it:05}")).collect();
        let queues: Vec<&str> = names.iter().map(|it| &**it).collect();
        let last = Destination::Queue {
            name: names[MOST_QUEUES - 1].clone(),
            payload: "{}".to_owned(),
        };
        let last = number(&last, &queues);
        assert_eq!(last, MOST_QUEUES + 2);
        assert_eq!(header(1, (None, last)) >> 16, 1 << 16, "it overflows");
    }
}

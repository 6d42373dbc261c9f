//! What became of a batch of delayed jobs.

use std::collections::{HashMap, HashSet};

use crate::{
    engine::delayed::{refusing::Refusal, stuck::Batch},
    store::{Bucket, Destination, Due, Passed},
};

/// What became of a batch.
#[derive(Default)]
pub(super) struct Moved {
    /// Buckets that can't be moved, or not all of them, with the reason.
    pub(super) stuck: Vec<(Vec<u8>, String)>,
    /// What stays at the head of those of them that can be looked at behind it.
    pub(super) staying: HashMap<Vec<u8>, Passed>,
    /// How many items were found to stay.
    stayed: usize,
    /// Buckets that are to be looked at again: items are not where they were, or are too early.
    pub(super) left: HashSet<Vec<u8>>,
    /// Nothing was where it was behind items that stay: apps removed some of these.
    pub(super) lost: bool,
    /// Queues that refused jobs, and why.
    pub(super) refused: Vec<(String, Refusal)>,
    /// The quarantine took not all that it was to take.
    pub(super) is_quarantine_full: bool,
    /// How many items are where they were to go.
    pub(super) items: usize,
    /// Queues that took jobs and had refused some before.
    pub(super) took: Vec<String>,
    /// Whether items were quarantined.
    pub(super) quarantined: bool,
    /// The member of the first bucket that is too early by Redis' clock.
    pub(super) early: Option<Vec<u8>>,
}

/// The items of a bucket that stay in it, at its head or behind those that were passed over.
pub(super) struct Staying {
    /// The bucket with only these.
    pub(super) bucket: Bucket,
    /// Of each where it may go instead: to quarantine, or nowhere.
    pub(super) targets: Vec<Destination>,
}

impl Staying {
    /// Whether some may go elsewhere.
    pub(super) fn may_go(&self) -> bool {
        let mut targets = self.targets.iter();
        targets.any(|target| !matches!(target, Destination::Stay { .. }))
    }
}

impl Moved {
    /// As nothing was moved yet of what is due.
    pub(super) fn of(due: &Due) -> Self {
        let mut moved = Self {
            stuck: due.unreadable.clone(),
            ..Self::default()
        };
        for bucket in &due.buckets {
            if let Some(passed) = &bucket.passed {
                // It is known why.
                moved.stuck.push((bucket.member.clone(), String::new()));
                moved.staying.insert(bucket.member.clone(), passed.clone());
            }
        }
        moved
    }

    /// Takes note of items that stay.
    pub(super) fn stay(&mut self, Staying { bucket, targets }: Staying) {
        let (Some(Destination::Stay { reason }), Some(last)) =
            (targets.first(), bucket.items.last())
        else {
            return;
        };
        let passed = bucket.passed.map_or(0, |passed| passed.items);
        let staying = Passed {
            items: passed + bucket.items.len(),
            last: last.clone(),
        };
        self.stayed += bucket.items.len();
        self.stuck.push((bucket.member.clone(), reason.clone()));
        self.staying.insert(bucket.member, staying);
    }

    /// What became of the buckets of `due`.
    pub(super) fn batch(&self, due: &Due) -> Batch {
        let stuck: HashSet<&[u8]> = self.stuck.iter().map(|(member, _)| &member[..]).collect();
        let last = due.last.as_ref().map(|last| &last.member);
        let read = due.buckets.iter().map(|bucket| &bucket.member);
        let gone = read.filter(|member| {
            Some(*member) != last && !stuck.contains(&member[..]) && !self.left.contains(*member)
        });
        let mut large = due.too_large.iter().map(|(member, _)| member);
        let is_blocked = |it: &Vec<u8>| stuck.contains(&it[..]) && !self.staying.contains_key(it);
        // All of the last bucket was read if the batch is not full, or if nothing was found behind what stays.
        let last_read = due.buckets.last().filter(|it| !it.items.is_empty());
        let last_read = last_read.map(|bucket| &bucket.member);
        let has_more =
            |last: &&Vec<u8>| due.full && last_read == Some(*last) || self.left.contains(*last);
        let inside = last.filter(has_more);
        Batch {
            stuck: self.stuck.clone(),
            large: large.any(is_blocked),
            stayed: self.stayed,
            gone: gone.count(),
            rest: self.lost || self.left.iter().any(|member| Some(member) != last),
            inside: inside.and_then(|last| self.staying.get(last)).cloned(),
        }
    }
}

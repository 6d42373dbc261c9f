//! Outcome of moving a batch of delayed jobs.

use std::collections::{HashMap, HashSet};

use crate::{
    engine::delayed::{refusing::Refusal, stuck::Batch},
    store::{Bucket, Destination, Due, Passed},
};

/// Outcome of moving a batch.
#[derive(Default)]
pub(super) struct Moved {
    /// Buckets that cannot be moved completely, with the reason.
    pub(super) stuck: Vec<(Vec<u8>, String)>,
    /// Items that stay at the head of their bucket, for those stuck buckets whose further items can be moved.
    pub(super) staying: HashMap<Vec<u8>, Passed>,
    /// Number of items that were found to stay.
    stayed: usize,
    /// Buckets to look at again, because items were not at their place or are too early.
    pub(super) left: HashSet<Vec<u8>>,
    /// Whether no item behind staying items was at its place, because apps removed some of the staying items.
    pub(super) lost: bool,
    /// Queues that rejected jobs, and the reasons.
    pub(super) refused: Vec<(String, Refusal)>,
    /// Whether the quarantine rejected an item.
    pub(super) is_quarantine_full: bool,
    /// Number of items that reached their destination.
    pub(super) items: usize,
    /// Queues that took jobs after having rejected some.
    pub(super) took: Vec<String>,
    /// Whether items were quarantined.
    pub(super) quarantined: bool,
    /// Member of the first bucket that is too early by Redis's clock.
    pub(super) early: Option<Vec<u8>>,
}

/// Items of a bucket that stay in it, at its head or behind the items that were passed over.
pub(super) struct Staying {
    /// The bucket with only these items.
    pub(super) bucket: Bucket,
    /// Where each item may go instead: to quarantine, or nowhere.
    pub(super) targets: Vec<Destination>,
}

impl Staying {
    /// Whether any item may go elsewhere.
    pub(super) fn may_go(&self) -> bool {
        let mut targets = self.targets.iter();
        targets.any(|target| !matches!(target, Destination::Stay { .. }))
    }
}

impl Moved {
    /// Returns the outcome before anything of `due` was moved.
    pub(super) fn of(due: &Due) -> Self {
        let mut moved = Self {
            stuck: due.unreadable.clone(),
            ..Self::default()
        };
        for bucket in &due.buckets {
            if let Some(passed) = &bucket.passed {
                // The reason was reported when the bucket became stuck.
                moved.stuck.push((bucket.member.clone(), String::new()));
                moved.staying.insert(bucket.member.clone(), passed.clone());
            }
        }
        moved
    }

    /// Records items that stay.
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

    /// Returns the outcome for the buckets of `due`.
    pub(super) fn batch(&self, due: &Due) -> Batch {
        let stuck: HashSet<&[u8]> = self.stuck.iter().map(|(member, _)| &member[..]).collect();
        let last = due.last.as_ref().map(|last| &last.member);
        let read = due.buckets.iter().map(|bucket| &bucket.member);
        let gone = read.filter(|member| {
            Some(*member) != last && !stuck.contains(&member[..]) && !self.left.contains(*member)
        });
        let mut large = due.too_large.iter().map(|(member, _)| member);
        let is_blocked = |it: &Vec<u8>| stuck.contains(&it[..]) && !self.staying.contains_key(it);
        // The last bucket was read to its end if the batch is not full, or if nothing was found behind the staying
        // items.
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

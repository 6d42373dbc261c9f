//! What becomes of a batch: each item goes to its queue, else to quarantine, else it stays.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use crate::{
    core::job::delayed::DelayedItem,
    engine::{
        delayed::{Delayed, bucket_name, large},
        stuck::Batch,
    },
    events::Event,
    store::{Bucket, Due, MoveOutcome, Store, StoreError, Target},
};

/// What became of a batch.
#[derive(Default)]
pub(super) struct Moved {
    /// Buckets that can't be moved, with the reason.
    pub(super) stuck: Vec<(Vec<u8>, String)>,
    /// Buckets with items that are not where they were to go.
    pub(super) left: HashSet<Vec<u8>>,
    /// Queues that refused jobs, and why.
    pub(super) refused: Vec<(String, String)>,
    /// Queues that took jobs and had refused some before.
    pub(super) took: Vec<String>,
    /// How many items are where they were to go.
    pub(super) items: usize,
    /// Whether items were quarantined.
    pub(super) quarantined: bool,
    /// The member of the first bucket that is too early by Redis' clock.
    pub(super) early: Option<Vec<u8>>,
}

impl Moved {
    /// What became of the buckets of `due`.
    pub(super) fn batch(&self, due: &Due) -> Batch {
        let stuck: HashSet<&[u8]> = self.stuck.iter().map(|(member, _)| &member[..]).collect();
        let last = due.last.as_ref().map(|last| &last.member);
        let read = due.buckets.iter().map(|bucket| &bucket.member);
        let others = |member: &&Vec<u8>| Some(*member) != last && !stuck.contains(&member[..]);
        let (left, gone): (Vec<_>, Vec<_>) = read
            .filter(others)
            .partition(|member| self.left.contains(*member));
        let large = due.too_large.iter().map(|(member, _)| member);
        Batch {
            stuck: self.stuck.clone(),
            large: large.clone().any(|member| stuck.contains(&member[..])),
            gone: gone.len(),
            rest: !left.is_empty() || large.filter(others).count() > 0,
        }
    }
}

/// An item that its target did not take. It heads its bucket now.
struct Rejected {
    /// The bucket with only this item.
    bucket: Bucket,
    /// Where it may go instead.
    target: Target,
    /// Redis' words.
    reason: String,
}

impl<S: Store> Delayed<S> {
    /// Moves what of `due` can be moved, which was read with items of up to `largest` bytes. `None`: the lease is
    /// lost.
    pub(super) async fn move_read(
        &self,
        due: &Due,
        largest: usize,
        now: DateTime<Utc>,
    ) -> Result<Option<Moved>, StoreError> {
        // What is read ahead is asked for first.
        tokio::task::yield_now().await;
        let mut moved = Moved {
            stuck: due.unreadable.clone(),
            ..Moved::default()
        };
        let items = due.buckets.iter().flat_map(|bucket| &bucket.items);
        let targets = items.map(|item| target_of(item, now)).collect();
        let rejected = self.move_batch(&due.buckets, targets, now, &mut moved);
        let Some(rejected) = rejected.await? else {
            return Ok(None);
        };
        // Their queues don't take them; the quarantine does.
        let heads: Vec<Bucket> = rejected.iter().map(|it| it.bucket.clone()).collect();
        let targets = rejected.into_iter().map(|it| it.target).collect();
        let Some(rejected) = self.move_batch(&heads, targets, now, &mut moved).await? else {
            return Ok(None);
        };
        let stuck = rejected.into_iter();
        moved
            .stuck
            .extend(stuck.map(|it| (it.bucket.member, it.reason)));
        for (member, bytes) in &due.too_large {
            let reason = format!("too large: {bytes} bytes");
            match self.store.set_aside(member, &reason, now).await? {
                None => return Ok(None),
                Some(MoveOutcome::Moved) => {
                    tell_quarantined(member, &reason);
                    moved.quarantined = true;
                    moved.items += 1;
                }
                // It is not too large to be read at another time.
                Some(MoveOutcome::Left) if *bytes > largest => {
                    moved.stuck.push((member.clone(), large::reason(*bytes)));
                }
                Some(MoveOutcome::Left | MoveOutcome::TooEarly) => {}
                Some(MoveOutcome::Rejected(reason) | MoveOutcome::Denied(reason)) => {
                    moved.stuck.push((member.clone(), reason));
                }
            }
        }
        Ok(Some(moved))
    }

    /// Moves a batch, and tells about it: in the log and in `result`. Returns what was rejected. `None`: the lease is lost.
    async fn move_batch(
        &self,
        buckets: &[Bucket],
        targets: Vec<Target>,
        now: DateTime<Utc>,
        result: &mut Moved,
    ) -> Result<Option<Vec<Rejected>>, StoreError> {
        if buckets.is_empty() {
            return Ok(Some(vec![]));
        }
        let Some(outcomes) = self.store.move_batch(buckets, &targets).await? else {
            return Ok(None);
        };
        let (mut jobs, mut oldest, mut rejected) = (0, None, vec![]);
        let mut moves = targets.into_iter().zip(outcomes);
        for bucket in buckets {
            for (number, (item, (target, outcome))) in
                bucket.items.iter().zip(&mut moves).enumerate()
            {
                if outcome == MoveOutcome::Moved {
                    result.items += 1;
                } else {
                    result.left.insert(bucket.member.clone());
                }
                match (outcome, target) {
                    (MoveOutcome::Moved, Target::Queue { name, .. }) => {
                        jobs += 1;
                        oldest.get_or_insert(bucket.due);
                        if self.refusing.contains_key(&name) {
                            result.took.push(name);
                        }
                    }
                    (MoveOutcome::Moved, Target::Quarantine { reason, .. }) => {
                        tell_quarantined(&bucket.member, &reason);
                        result.quarantined = true;
                    }
                    (MoveOutcome::Left, _) => {}
                    (MoveOutcome::TooEarly, _) => {
                        let first = || bucket.member.clone();
                        result.early.get_or_insert_with(first);
                    }
                    (MoveOutcome::Rejected(reason), target) => rejected.push(Rejected {
                        bucket: Bucket {
                            items: vec![item.clone()],
                            ..bucket.clone()
                        },
                        target: instead_of(target, &reason, now, &mut result.refused),
                        reason,
                    }),
                    // What is before it was moved; it is stuck when it heads its bucket.
                    (MoveOutcome::Denied(_), _) if number > 0 => {}
                    (MoveOutcome::Denied(reason), _) => {
                        result.stuck.push((bucket.member.clone(), reason));
                    }
                }
            }
        }
        if let Some(oldest) = oldest {
            let lateness = self.clock.now() - oldest;
            Event::Moved { jobs, lateness }.emit();
        }
        Ok(Some(rejected))
    }
}

/// Where an item goes that its target refused: from a queue to quarantine. Takes note of the queue.
fn instead_of(
    target: Target,
    reason: &str,
    now: DateTime<Utc>,
    refused: &mut Vec<(String, String)>,
) -> Target {
    let Target::Queue { name, .. } = target else {
        return target;
    };
    refused.push((name, reason.to_owned()));
    Target::Quarantine {
        reason: format!("its queue can't take it: {reason}"),
        at: now,
    }
}

fn tell_quarantined(member: &[u8], reason: &str) {
    let bucket = &bucket_name(member);
    Event::Quarantined { bucket, reason }.emit();
}

fn target_of(item: &[u8], now: DateTime<Utc>) -> Target {
    match DelayedItem::decode(item) {
        Ok(DelayedItem { queue, payload }) => Target::Queue {
            name: queue,
            payload,
        },
        Err(reason) => Target::Quarantine {
            reason: reason.to_string(),
            at: now,
        },
    }
}

//! Moves a batch: each item goes to its queue or to quarantine, or stays.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    core::job::delayed::{DelayedItem, class_and_queue},
    engine::delayed::{
        Delayed, bucket_name, large,
        moved::{Moved, Staying},
        refusing::Refusal,
    },
    events::Event,
    store::{Bucket, Destination, Due, MoveOutcome, Store, StoreError},
};

impl<S: Store> Delayed<S> {
    /// Moves the items of `due`, which was read with items of up to `largest` bytes. Returns `None` if the lease is
    /// lost.
    pub(super) async fn move_read(
        &self,
        due: &Due,
        largest: usize,
        now: DateTime<Utc>,
    ) -> Result<Option<Moved>, StoreError> {
        // Let the call that reads ahead be sent first.
        tokio::task::yield_now().await;
        let mut moved = Moved::of(due);
        let items = due.buckets.iter().flat_map(|bucket| &bucket.items);
        let targets = items.map(|item| self.target_of(item, now)).collect();
        let staying = self.move_batch(&due.buckets, targets, now, &mut moved);
        let Some(staying) = staying.await? else {
            return Ok(None);
        };
        // Items that only the queue rejected go to the quarantine.
        let (may_go, stay): (Vec<_>, Vec<_>) = staying.into_iter().partition(Staying::may_go);
        for it in stay {
            moved.stay(it);
        }
        let (buckets, targets): (Vec<_>, Vec<_>) =
            may_go.into_iter().map(|it| (it.bucket, it.targets)).unzip();
        let targets = targets.into_iter().flatten().collect();
        let Some(stay) = self.move_batch(&buckets, targets, now, &mut moved).await? else {
            return Ok(None);
        };
        for it in stay {
            moved.stay(it);
        }
        for (member, bytes) in &due.too_large {
            let reason = format!("too large: {bytes} bytes");
            let before = moved.staying.get(member).map_or(0, |it| it.items);
            match self.store.set_aside(member, before, &reason, now).await? {
                None => return Ok(None),
                Some(MoveOutcome::Rejected(reason) | MoveOutcome::Denied(reason)) => {
                    moved.stuck.push((member.clone(), reason));
                    // The items behind it wait for it.
                    moved.staying.remove(member);
                    continue;
                }
                // The item can be read at another time. The items behind it wait for it.
                Some(MoveOutcome::Left) if *bytes > largest => {
                    moved.stuck.push((member.clone(), large::reason(*bytes)));
                    moved.staying.remove(member);
                    continue;
                }
                Some(MoveOutcome::Moved) => {
                    self.report_quarantined(member, None, &reason);
                    moved.quarantined = true;
                    moved.items += 1;
                }
                Some(MoveOutcome::Left | MoveOutcome::Stays | MoveOutcome::TooEarly) => {}
            }
            moved.left.insert(member.clone());
        }
        Ok(Some(moved))
    }

    /// Moves a batch. Reports the outcome as events and in `result`, and returns the buckets with items that stay,
    /// or `None` if the lease is lost.
    async fn move_batch(
        &self,
        buckets: &[Bucket],
        targets: Vec<Destination>,
        now: DateTime<Utc>,
        result: &mut Moved,
    ) -> Result<Option<Vec<Staying>>, StoreError> {
        if buckets.is_empty() {
            return Ok(Some(vec![]));
        }
        let Some(outcomes) = self.store.move_batch(buckets, &targets).await? else {
            return Ok(None);
        };
        let (mut queues, mut oldest, mut all_staying) = (BTreeMap::new(), None, vec![]);
        let mut moves = targets.into_iter().zip(outcomes);
        for bucket in buckets {
            let (mut gone, mut staying, mut instead) = (0, vec![], vec![]);
            for (item, (target, outcome)) in bucket.items.iter().zip(&mut moves) {
                let elsewhere = match (outcome, target) {
                    (MoveOutcome::Moved, Destination::Queue { name, .. }) => {
                        result.items += 1;
                        oldest.get_or_insert(bucket.due);
                        if self.refusing.contains(&name) {
                            result.took.push(name.clone());
                        }
                        *queues.entry(name).or_insert(0) += 1;
                        continue;
                    }
                    (MoveOutcome::Moved, Destination::Quarantine { reason, .. }) => {
                        self.report_quarantined(&bucket.member, Some(item), &reason);
                        result.quarantined = true;
                        result.items += 1;
                        continue;
                    }
                    (MoveOutcome::TooEarly, _) => {
                        let first = || bucket.member.clone();
                        result.early.get_or_insert_with(first);
                        result.left.insert(bucket.member.clone());
                        continue;
                    }
                    (MoveOutcome::Rejected(reason), Destination::Queue { name, .. }) => {
                        let target = Destination::Quarantine {
                            reason: format!("its queue rejects it: {reason}"),
                            at: now,
                        };
                        let refusal = Refusal {
                            reason,
                            denied: false,
                            holds: false,
                        };
                        result.refused.push((name, refusal));
                        target
                    }
                    (MoveOutcome::Denied(reason), Destination::Queue { name, .. }) => {
                        let refusal = Refusal {
                            reason: reason.clone(),
                            denied: true,
                            holds: true,
                        };
                        result.refused.push((name, refusal));
                        Destination::Stay { reason }
                    }
                    (MoveOutcome::Rejected(reason) | MoveOutcome::Denied(reason), _) => {
                        result.is_quarantine_full = true;
                        Destination::Stay { reason }
                    }
                    (MoveOutcome::Stays, target @ Destination::Stay { .. }) => target,
                    (MoveOutcome::Left | MoveOutcome::Stays | MoveOutcome::Moved, _) => {
                        gone += 1;
                        result.left.insert(bucket.member.clone());
                        continue;
                    }
                };
                staying.push(item.clone());
                instead.push(elsewhere);
            }
            result.lost |= bucket.passed.is_some() && gone > 0 && gone == bucket.items.len();
            if !staying.is_empty() {
                all_staying.push(Staying {
                    bucket: Bucket {
                        member: bucket.member.clone(),
                        due: bucket.due,
                        items: staying,
                        passed: bucket.passed.clone(),
                    },
                    targets: instead,
                });
            }
        }
        if let Some(oldest) = oldest {
            let lateness = self.clock.now() - oldest;
            let queues = &queues;
            self.events.emit(&Event::DelayedMoved { queues, lateness });
        }
        Ok(Some(all_staying))
    }

    /// Reports that `item` was quarantined. `None`: it is too large to be read.
    fn report_quarantined(&self, member: &[u8], item: Option<&[u8]>, reason: &str) {
        let (class, queue) = item.map(class_and_queue).unwrap_or_default();
        self.events.emit(&Event::DelayedQuarantined {
            bucket: &bucket_name(member),
            class: class.as_deref(),
            queue: queue.as_deref(),
            reason,
        });
    }

    /// Returns where an item goes.
    fn target_of(&self, item: &[u8], now: DateTime<Utc>) -> Destination {
        match DelayedItem::decode(item) {
            Ok(DelayedItem { queue, payload }) => match self.refusing.holds(&queue) {
                Some(reason) => Destination::Stay {
                    reason: reason.to_owned(),
                },
                None => Destination::Queue {
                    name: queue,
                    payload,
                },
            },
            Err(reason) => Destination::Quarantine {
                reason: reason.to_string(),
                at: now,
            },
        }
    }
}

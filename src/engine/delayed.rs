//! The delayed engine: moves delayed jobs from their buckets to their queues when they are due.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::{
    Tick,
    health::Part,
    wake::{Wake, until_next_second},
};
use crate::{
    clock::Clock,
    core::job::DelayedItem,
    events::Event,
    store::{BatchLimit, Bucket, Due, MoveOutcome, Store, StoreError, Target},
};

/// How many bytes of items go in one call: other clients wait while the script runs.
const BATCH_BYTES: usize = 1 << 20;

/// Moves due delayed jobs, a batch a tick.
pub struct Delayed<S> {
    store: S,
    clock: Arc<dyn Clock>,
    batch: BatchLimit,
    /// Members whose buckets can't be moved. Each is told about once, and looked at again when
    /// nothing else is due, so that no number of them stands before the others.
    stuck: HashSet<Vec<u8>>,
    /// What stands behind the last batch and is due at this time: it was read while that was moved, so
    /// that Redis never waits for us.
    ahead: Option<(DateTime<Utc>, Due)>,
}

/// What became of a batch.
struct Moved {
    /// Buckets that can't be moved, with the reason.
    stuck: Vec<(Vec<u8>, String)>,
    /// Some items are not where they were to go.
    left: bool,
}

impl<S: Store> Delayed<S> {
    /// An engine that has moved nothing yet, and moves `batch` items in one call at most.
    pub fn new(store: S, clock: Arc<dyn Clock>, batch: usize) -> Self {
        Self {
            store,
            clock,
            batch: BatchLimit {
                count: batch,
                bytes: BATCH_BYTES,
            },
            stuck: HashSet::new(),
            ahead: None,
        }
    }

    /// How many buckets are stuck: they can't be read, or neither a queue nor the quarantine takes
    /// what is in them.
    pub fn stuck(&self) -> usize {
        self.stuck.len()
    }

    /// What is wrong with buckets, in words.
    fn trouble(&self) -> Option<String> {
        let (number, first) = (self.stuck(), self.stuck.iter().min()?);
        let first = bucket_name(first);
        Some(format!(
            "buckets that can't be moved: {number}, the first is {first}"
        ))
    }

    /// Ticks and sleeps until it is told to stop: wakes on each whole second, for delayed jobs are
    /// due then, and each `interval`.
    pub(super) async fn run(mut self, interval: Duration, mut wake: Wake) {
        let mut pause = Duration::ZERO;
        while wake.sleep(pause).await {
            pause = if wake.trusted_term().is_some() {
                let outcome = self.tick(wake.now()).await;
                wake.health.set(Part::Buckets, self.trouble());
                let idle = interval.min(until_next_second(wake.now()));
                wake.pause(outcome, idle)
            } else {
                // They are the leader's to tell.
                self.stuck.clear();
                self.ahead = None;
                wake.health.set(Part::Buckets, None);
                wake.outage.end();
                until_next_second(wake.now())
            };
        }
    }

    /// Moves a batch of what is due at `now` (whole seconds): the oldest, or, within the same second, what
    /// stands behind the last one. Items that can't be enqueued go to quarantine; empty buckets are removed.
    ///
    /// # Errors
    /// [`StoreError`]; what was not moved is still due. Ticking again is safe.
    pub async fn tick(&mut self, now: DateTime<Utc>) -> Result<Tick, StoreError> {
        // It is begun at the oldest again each second: something older may have come meanwhile.
        let second = now.timestamp();
        let ahead = self.ahead.take();
        let ahead = ahead.filter(|(read_at, _)| read_at.timestamp() == second && *read_at <= now);
        let due = match ahead {
            Some((_, due)) => due,
            None => match self.store.due(now, self.batch, &self.stuck, None).await? {
                Some(due) => due,
                None => return Ok(Tick::LeaseLost),
            },
        };
        if due != Due::default() {
            // Every bucket that is not stuck has become shorter then, or is gone.
            let moved = self.move_due(due, now).await?;
            return Ok(if moved { Tick::More } else { Tick::LeaseLost });
        }
        let stuck_before = self.stuck.len();
        if stuck_before > 0 {
            let all = &HashSet::new();
            let Some(due) = self.store.due(now, self.batch, all, None).await? else {
                return Ok(Tick::LeaseLost);
            };
            if due == Due::default() {
                self.stuck.clear();
            }
            if !self.move_due(due, now).await? {
                return Ok(Tick::LeaseLost);
            }
        }
        Ok(if self.stuck.len() < stuck_before {
            Tick::More
        } else {
            Tick::Done { until: None }
        })
    }

    /// Moves what of `due` can be moved, takes note of buckets that can't, and reads ahead. `false`: the
    /// lease is lost.
    async fn move_due(&mut self, due: Due, now: DateTime<Utc>) -> Result<bool, StoreError> {
        // Redis gets both in this order: it reads while we decode, and moves while we take up what it
        // has read.
        let (ahead, moved) = tokio::join!(
            biased;
            self.read_behind(&due, now),
            self.move_read(&due, now)
        );
        let Some(moved) = moved? else {
            return Ok(false);
        };
        for (member, reason) in due.unreadable.iter().chain(&moved.stuck) {
            self.tell_stuck(member, reason);
        }
        for Bucket { member, .. } in &due.buckets {
            if !moved.stuck.iter().any(|(stuck, _)| stuck == member) {
                self.stuck.remove(member);
            }
        }
        // What stands behind items that are still there was not to be read yet; and that nothing does
        // is no reason to sleep.
        let ahead = ahead?.filter(|ahead| !moved.left && *ahead != Due::default());
        self.ahead = ahead.map(|ahead| (now, ahead));
        Ok(true)
    }

    /// What is due behind a batch that is full; `None`: there is none, or it is not known.
    async fn read_behind(&self, due: &Due, now: DateTime<Utc>) -> Result<Option<Due>, StoreError> {
        match due.end.as_ref() {
            Some(end) => {
                self.store
                    .due(now, self.batch, &self.stuck, Some(end))
                    .await
            }
            None => Ok(None),
        }
    }

    /// Moves what of `due` can be moved. `None`: the lease is lost.
    async fn move_read(&self, due: &Due, now: DateTime<Utc>) -> Result<Option<Moved>, StoreError> {
        // What is read ahead is asked for first.
        tokio::task::yield_now().await;
        let items = due.buckets.iter().flat_map(|bucket| &bucket.items);
        let targets = items.map(|item| target_of(item, now)).collect();
        let Some((rejected, left)) = self.move_batch(&due.buckets, targets).await? else {
            return Ok(None);
        };
        // Their queues don't take them; the quarantine does.
        let (heads, reasons): (Vec<Bucket>, Vec<String>) = rejected.into_iter().unzip();
        let quarantine = |reason| Target::Quarantine {
            reason: format!("its queue can't take it: {reason}"),
            at: now,
        };
        let targets = reasons.into_iter().map(quarantine).collect();
        let Some((rejected, _)) = self.move_batch(&heads, targets).await? else {
            return Ok(None);
        };
        let stuck = rejected.into_iter();
        let stuck = stuck
            .map(|(bucket, reason)| (bucket.member, reason))
            .collect();
        Ok(Some(Moved { stuck, left }))
    }

    /// Moves a batch, and tells about it. Returns what was rejected: each bucket with only the item
    /// that heads it now, and Redis' words; and whether any item was not moved. `None`: the lease is lost.
    async fn move_batch(
        &self,
        buckets: &[Bucket],
        targets: Vec<Target>,
    ) -> Result<Option<(Vec<(Bucket, String)>, bool)>, StoreError> {
        if buckets.is_empty() {
            return Ok(Some((vec![], false)));
        }
        let Some(outcomes) = self.store.move_batch(buckets, &targets).await? else {
            return Ok(None);
        };
        let left = outcomes.iter().any(|it| *it != MoveOutcome::Moved);
        let (mut jobs, mut oldest, mut rejected) = (0, None, vec![]);
        let mut moves = targets.into_iter().zip(outcomes);
        for bucket in buckets {
            for (item, (target, outcome)) in bucket.items.iter().zip(&mut moves) {
                match (outcome, target) {
                    (MoveOutcome::Moved, Target::Queue { .. }) => {
                        jobs += 1;
                        oldest.get_or_insert(bucket.due);
                    }
                    (MoveOutcome::Moved, Target::Quarantine { reason, .. }) => {
                        let (bucket, reason) = (&bucket_name(&bucket.member), &reason);
                        Event::Quarantined { bucket, reason }.emit();
                    }
                    (MoveOutcome::Left, _) => {}
                    (MoveOutcome::Rejected(reason), _) => {
                        let items = vec![item.clone()];
                        rejected.push((
                            Bucket {
                                items,
                                ..bucket.clone()
                            },
                            reason,
                        ));
                    }
                }
            }
        }
        if let Some(oldest) = oldest {
            let lateness = self.clock.now() - oldest;
            Event::Moved { jobs, lateness }.emit();
        }
        Ok(Some((rejected, left)))
    }

    fn tell_stuck(&mut self, member: &[u8], reason: &str) {
        if self.stuck.insert(member.to_vec()) {
            let bucket = &bucket_name(member);
            Event::BucketStuck { bucket, reason }.emit();
        }
    }
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

fn bucket_name(member: &[u8]) -> String {
    format!("delayed:{}", String::from_utf8_lossy(member))
}

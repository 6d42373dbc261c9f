//! The delayed engine: moves delayed jobs from their buckets to their queues when they are due.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::{
    Tick,
    wake::{LONGEST_SLEEP, Wake},
};
use crate::{
    clock::Clock,
    core::job::DelayedItem,
    events::Event,
    store::{BatchLimit, Bucket, MoveOutcome, Store, StoreError, Target},
};

/// What goes in one call: other clients wait while the script runs.
const BATCH: BatchLimit = BatchLimit {
    count: 1000,
    bytes: 1 << 20,
};

/// Moves due delayed jobs, a batch a tick.
pub struct Delayed {
    store: Store,
    clock: Arc<dyn Clock>,
    /// Members whose buckets can't be read; each is told about once.
    unreadable: HashSet<Vec<u8>>,
}

impl Delayed {
    /// An engine that has moved nothing yet.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            unreadable: HashSet::new(),
        }
    }

    /// Ticks and sleeps until it is told to stop: wakes on each whole second, for delayed jobs are
    /// due then, and each `interval`.
    pub(super) async fn run(mut self, interval: Duration, mut wake: Wake) {
        let mut pause = Duration::ZERO;
        while wake.sleep(pause).await {
            pause = if wake.trusted_term().is_some() {
                let outcome = self.tick(wake.now()).await;
                let idle = interval.min(until_next_second(wake.now()));
                wake.pause(outcome, idle)
            } else {
                LONGEST_SLEEP
            };
        }
    }

    /// Moves the oldest batch of what is due at `now` (whole seconds). Items that can't be
    /// enqueued go to quarantine; empty buckets are removed.
    ///
    /// # Errors
    /// [`StoreError`]; what was not moved is still due. Ticking again is safe.
    pub async fn tick(&mut self, now: DateTime<Utc>) -> Result<Tick, StoreError> {
        let buckets = self.store.due(now, BATCH).await?;
        self.tell_unreadable(&buckets);
        let readable = || {
            buckets
                .iter()
                .filter_map(|bucket| bucket.items.as_ref().ok())
        };
        if readable().next().is_none() {
            return Ok(Tick::Done { until: None });
        }
        let target = |item: &Vec<u8>| target_of(item, now);
        let targets: Vec<Target> = readable().flatten().map(target).collect();
        let Some(outcome) = self.store.move_batch(&buckets, &targets).await? else {
            return Ok(Tick::LeaseLost);
        };
        let mut progress = outcome.moved > 0 || readable().any(Vec::is_empty);
        self.tell_moved(&buckets, &targets, &outcome);
        if !outcome.rejected.is_empty() {
            progress |= self.quarantine_rejected(&buckets, &outcome, now).await? > 0;
        }
        Ok(if progress {
            Tick::More
        } else {
            Tick::Done { until: None }
        })
    }

    /// Moves the items whose queue can't take them to quarantine. Returns how many went there.
    async fn quarantine_rejected(
        &self,
        buckets: &[Bucket],
        outcome: &MoveOutcome,
        now: DateTime<Utc>,
    ) -> Result<usize, StoreError> {
        let mut rejected = outcome.rejected.iter().peekable();
        let (mut stuck, mut targets, mut place) = (vec![], vec![], 0);
        for bucket in buckets {
            let mut items = vec![];
            for item in bucket.items.iter().flatten() {
                if let Some((_, reason)) = rejected.next_if(|(rejected, _)| *rejected == place) {
                    items.push(item.clone());
                    targets.push(Target::Quarantine {
                        reason: format!("its queue can't take it: {reason}"),
                        at: now,
                    });
                }
                place += 1;
            }
            if !items.is_empty() {
                stuck.push(Bucket {
                    items: Ok(items),
                    ..bucket.clone()
                });
            }
        }
        let Some(outcome) = self.store.move_batch(&stuck, &targets).await? else {
            return Ok(0);
        };
        self.tell_moved(&stuck, &targets, &outcome);
        Ok(outcome.moved)
    }

    fn tell_moved(&self, buckets: &[Bucket], targets: &[Target], outcome: &MoveOutcome) {
        let items = buckets.iter().flat_map(|bucket| {
            let items = bucket.items.iter().flatten();
            items.map(|_| bucket.member.as_slice())
        });
        let mut quarantined = 0;
        for (member, target) in items.zip(targets) {
            if let Target::Quarantine { reason, .. } = target {
                quarantined += 1;
                let bucket = &bucket_name(member);
                Event::Quarantined { bucket, reason }.emit();
            }
        }
        let jobs = outcome.moved.saturating_sub(quarantined);
        if let (1.., Some(oldest)) = (jobs, buckets.first()) {
            Event::Moved {
                jobs,
                buckets: buckets.len(),
                lateness: self.clock.now() - oldest.due,
            }
            .emit();
        }
    }

    fn tell_unreadable(&mut self, buckets: &[Bucket]) {
        for bucket in buckets {
            if let Err(reason) = &bucket.items
                && self.unreadable.insert(bucket.member.clone())
            {
                let bucket = &bucket_name(&bucket.member);
                Event::BucketUnreadable { bucket, reason }.emit();
            }
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

fn until_next_second(now: DateTime<Utc>) -> Duration {
    Duration::from_secs(1).saturating_sub(Duration::from_nanos(now.timestamp_subsec_nanos().into()))
}

//! The delayed engine: moves delayed jobs from their buckets to their queues when they are due.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};

use crate::{
    clock::Clock,
    core::{excerpt::excerpt, job::delayed::DelayedItem},
    engine::{
        Tick,
        health::{Health, Part},
        stuck::{Batch, Stuck},
        wake::{Wake, until_next_second},
    },
    events::Event,
    store::{BatchLimit, Bucket, Due, MoveOutcome, Place, Store, StoreError, Target},
};

/// How many bytes of items go in one call: other clients wait while the script runs.
const BATCH_BYTES: usize = 1 << 20;

/// How often, in seconds, it is looked at what changes slowly.
const RARELY: u64 = 10;

/// How many queues that refused jobs are remembered.
const MOST_REFUSING: usize = 1_000;

/// Moves due delayed jobs, a batch a tick.
pub struct Delayed<S> {
    store: S,
    clock: Arc<dyn Clock>,
    /// How many items and buckets go in one call.
    most: usize,
    /// How many go in the next one: a single one after an error, then twice as many each time, so that what
    /// cannot be read or moved in time does not take others with it.
    count: usize,
    stuck: Stuck,
    /// Queues that refused jobs, and why.
    refusing: BTreeMap<String, String>,
    /// The member of the first bucket that was too early by Redis' clock, in the last batch.
    early: Option<Vec<u8>>,
    /// What stands behind the last batch and is due at this time: it was read while that was moved, so
    /// that Redis never waits for us.
    ahead: Option<(DateTime<Utc>, Due)>,
    /// When it was last looked at what changes slowly, Unix seconds.
    looked_around: Option<i64>,
}

/// What became of a batch.
#[derive(Default)]
struct Moved {
    /// Buckets that can't be moved, with the reason.
    stuck: Vec<(Vec<u8>, String)>,
    /// Buckets with items that are not where they were to go.
    left: HashSet<Vec<u8>>,
    /// Queues that refused jobs, and why.
    refused: Vec<(String, String)>,
    /// Queues that took jobs and had refused some before.
    took: Vec<String>,
    /// Whether items were quarantined.
    quarantined: bool,
    /// The member of the first bucket that is too early by Redis' clock.
    early: Option<Vec<u8>>,
}

impl Moved {
    /// What became of the buckets of `due`.
    fn batch(&self, due: &Due) -> Batch {
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
    /// An engine that has moved nothing yet, and moves `batch` items in one call at most.
    pub fn new(store: S, clock: Arc<dyn Clock>, batch: usize) -> Self {
        Self {
            store,
            clock,
            most: batch,
            count: batch,
            stuck: Stuck::default(),
            refusing: BTreeMap::new(),
            early: None,
            ahead: None,
            looked_around: None,
        }
    }

    /// How many buckets are left behind: they can't be read, neither a queue nor the quarantine takes
    /// what is in them, or they are too early by Redis' clock, of which the first is counted.
    pub fn undone(&self) -> usize {
        self.stuck.len() + usize::from(self.early.is_some())
    }

    /// Ticks and sleeps until it is told to stop: wakes on each whole second, for delayed jobs are
    /// due then, and each `interval`.
    pub(super) async fn run(mut self, interval: Duration, mut wake: Wake) {
        let mut pause = Duration::ZERO;
        while wake.sleep(pause).await {
            pause = if wake.trusted_term().is_some() {
                let now = wake.now();
                let outcome = match self.tick(now).await {
                    Ok(tick) => self.look_around(now, &wake.health).await.map(|()| tick),
                    error => error,
                };
                wake.health.set(Part::Buckets, self.bucket_trouble());
                wake.health.set(Part::Queues, self.queue_trouble());
                wake.health.set(Part::EarlyBuckets, self.clock_trouble());
                let idle = interval.min(until_next_second(wake.now()));
                wake.pause(outcome, idle)
            } else {
                // They are the leader's to tell.
                self.stuck = Stuck::default();
                self.refusing.clear();
                (self.early, self.ahead) = (None, None);
                self.looked_around = None;
                wake.health.set(Part::Buckets, None);
                wake.health.set(Part::Queues, None);
                wake.health.set(Part::EarlyBuckets, None);
                wake.health.set_quarantined(None);
                wake.outage.end();
                until_next_second(wake.now())
            };
        }
    }

    /// Looks rarely at what changes slowly: how much is in quarantine, and whether queues that refused jobs
    /// take them now.
    async fn look_around(&mut self, now: DateTime<Utc>, health: &Health) -> Result<(), StoreError> {
        let now = now.timestamp();
        let recently = |at: i64| now.abs_diff(at) < RARELY;
        if self.looked_around.is_some_and(recently) {
            return Ok(());
        }
        // A quarantine of the wrong type is shown by the buckets that are stuck.
        health.set_quarantined(match self.store.quarantined().await {
            Err(error) if error.is_partial() => None,
            number => Some(number?),
        });
        while let Some((queue, _)) = self.refusing.first_key_value()
            && self.store.takes_jobs(queue).await?
        {
            self.refusing.pop_first();
        }
        self.looked_around = Some(now);
        Ok(())
    }

    /// What is wrong with buckets, in words.
    fn bucket_trouble(&self) -> Option<String> {
        let (first, reason) = self.stuck.first()?;
        let (number, first) = (self.stuck.len(), bucket_name(first));
        Some(format!(
            "buckets that can't be moved: {number}, the first is {first} ({reason})"
        ))
    }

    /// What is wrong with queues, in words.
    fn queue_trouble(&self) -> Option<String> {
        let (queue, reason) = self.refusing.first_key_value()?;
        let number = self.refusing.len();
        Some(format!(
            "queues that refuse delayed jobs: {number}, the first is {queue} ({reason})"
        ))
    }

    /// Which buckets are too early by Redis' clock, in words.
    fn clock_trouble(&self) -> Option<String> {
        let first = bucket_name(self.early.as_ref()?);
        Some(format!(
            "delayed jobs are too early by Redis' clock and wait, the first are in {first}"
        ))
    }

    /// Moves a batch of what is due at `now` (whole seconds): the oldest, or, within the same second, what
    /// stands behind the last one. Items that can't be enqueued go to quarantine; empty buckets are removed.
    ///
    /// # Errors
    /// [`StoreError`]; what was not moved is still due. Ticking again is safe.
    pub async fn tick(&mut self, now: DateTime<Utc>) -> Result<Tick, StoreError> {
        let outcome = self.pass(now).await;
        match &outcome {
            Ok(_) => self.count = self.most.min(self.count.saturating_mul(2)),
            Err(error) => {
                if !error.is_partial() {
                    self.count = 1;
                }
                // Redis may come back with other buckets.
                self.stuck.lose_place();
            }
        }
        outcome
    }

    async fn pass(&mut self, now: DateTime<Utc>) -> Result<Tick, StoreError> {
        // It is begun at the oldest again each second: something older may have come meanwhile.
        let second = now.timestamp();
        let ahead = self.ahead.take();
        let ahead = ahead.filter(|(read_at, _)| read_at.timestamp() == second && *read_at <= now);
        let due = match ahead {
            Some((_, due)) => Some(due),
            None if self.store.is_any_due(now, self.stuck.past()).await? => {
                self.read(now, self.stuck.past()).await?
            }
            None => Some(Due::default()),
        };
        let Some(due) = due else {
            return Ok(Tick::LeaseLost);
        };
        if due.last.is_some() {
            // Every bucket that is not stuck has become shorter then, or is gone.
            let moved = self.move_due(due, now).await?;
            return Ok(match (moved, &self.early) {
                (false, _) => Tick::LeaseLost,
                (true, None) => Tick::More,
                // So is all that is due later.
                (true, Some(_)) => Tick::Done { until: None },
            });
        }
        self.early = None;
        if self.stuck.is_time(second) {
            return self.pass_again(now).await;
        }
        Ok(Tick::Done { until: None })
    }

    /// Looks at a batch of the stuck buckets again.
    async fn pass_again(&mut self, now: DateTime<Utc>) -> Result<Tick, StoreError> {
        let stuck_before = self.stuck.len();
        let from = self.stuck.begin_again(now.timestamp()).cloned();
        let Some(due) = self.read(now, from.as_ref()).await? else {
            return Ok(Tick::LeaseLost);
        };
        let Some(moved) = self.move_read(&due, now).await? else {
            return Ok(Tick::LeaseLost);
        };
        let (new, goes_on) = self.stuck.note_again(&due, moved.batch(&due));
        new.iter().for_each(tell_stuck);
        self.note_queues(moved);
        Ok(if goes_on || self.stuck.len() < stuck_before {
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
        let new = self.stuck.note(&due, moved.batch(&due));
        new.iter().for_each(tell_stuck);
        if let (None, Some(first)) = (&self.early, &moved.early) {
            let bucket = &bucket_name(first);
            Event::BucketTooEarly { bucket }.emit();
        }
        self.early.clone_from(&moved.early);
        // What stands behind items that are still there was not to be read yet; and that nothing does
        // is no reason to sleep.
        let ahead = ahead?.filter(|ahead| moved.left.is_empty() && ahead.last.is_some());
        self.ahead = ahead.map(|ahead| (now, ahead));
        self.note_queues(moved);
        Ok(true)
    }

    /// Takes note of queues that refuse jobs, or take them now.
    fn note_queues(&mut self, moved: Moved) {
        for queue in moved.took {
            self.refusing.remove(&queue);
        }
        for (queue, reason) in moved.refused {
            if self.refusing.len() < MOST_REFUSING {
                self.refusing.insert(queue, reason);
            }
        }
        if moved.quarantined {
            self.looked_around = None;
        }
    }

    async fn read(
        &self,
        now: DateTime<Utc>,
        from: Option<&Place>,
    ) -> Result<Option<Due>, StoreError> {
        let limit = BatchLimit {
            count: self.count,
            bytes: BATCH_BYTES,
        };
        self.store.due(now, limit, from).await
    }

    /// What is due behind a batch that is full; `None`: there is none, or it is not known.
    async fn read_behind(&self, due: &Due, now: DateTime<Utc>) -> Result<Option<Due>, StoreError> {
        let Some(last) = due.last.as_ref().filter(|_| due.full) else {
            return Ok(None);
        };
        if !due.too_large.is_empty() {
            // Redis would take as long again to tell the size of that item.
            return Ok(None);
        }
        let was_read = due
            .buckets
            .last()
            .is_some_and(|it| it.member == last.member);
        let behind = Place {
            before: last.before + usize::from(!was_read),
            ..last.clone()
        };
        self.read(now, Some(&behind)).await
    }

    /// Moves what of `due` can be moved. `None`: the lease is lost.
    async fn move_read(&self, due: &Due, now: DateTime<Utc>) -> Result<Option<Moved>, StoreError> {
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
                if outcome != MoveOutcome::Moved {
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

fn tell_stuck((member, reason): &(Vec<u8>, String)) {
    let bucket = &bucket_name(member);
    Event::BucketStuck { bucket, reason }.emit();
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

fn bucket_name(member: &[u8]) -> String {
    format!("delayed:{}", excerpt(&String::from_utf8_lossy(member)))
}

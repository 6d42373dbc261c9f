//! The delayed loop: moves delayed jobs from their buckets to their queues when they are due.
//!
//! ```text
//! mod         the loop, and what is wrong with buckets and queues
//! pass        chooses a batch, reads it, and takes note of what became of it
//! moving      moves a batch: each item to its queue, else to quarantine, else it stays
//! moved       what became of a batch
//! refusing    queues that refuse jobs
//! stuck       buckets that cannot be moved, and where to look for others
//! newcomers   buckets that apps put before the stuck ones
//! large       large items on a link that is too slow for them
//! ```

mod large;
mod moved;
mod moving;
mod newcomers;
mod pass;
mod refusing;
mod stuck;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

use crate::{
    clock::Clock,
    core::excerpt::excerpt,
    engine::{
        context::{LoopContext, until_next_second},
        delayed::{large::Large, newcomers::Newcomers, refusing::Refusing, stuck::Stuck},
        health::{Health, HealthPart},
        tick::Tick,
    },
    events::Events,
    store::{Due, Store, StoreError},
};

/// How often, in seconds, it is looked at what changes slowly.
const RARELY: u64 = 10;

/// Moves due delayed jobs, a batch a tick.
pub struct Delayed<S> {
    store: S,
    clock: Arc<dyn Clock>,
    events: Events,
    /// How many items and buckets go in one call.
    most: usize,
    /// How many go in the next one: a single one after an error, then twice as many each time, so that what
    /// cannot be read or moved in time does not take others with it.
    count: usize,
    /// Whether large items wait, because they take others with them all the same.
    large: Large,
    /// When the present attempt to read and move a batch was begun, and how large an item may be in it.
    attempt: Option<(Instant, usize)>,
    stuck: Stuck,
    newcomers: Newcomers,
    refusing: Refusing,
    /// The member of the first bucket that was too early by Redis' clock, in the last batch.
    early: Option<Vec<u8>>,
    /// What stands behind the last batch and is due at this time: it was read while that was moved, so
    /// that Redis never waits for us.
    ahead: Option<(DateTime<Utc>, Due)>,
    /// When it was last looked at what changes slowly, Unix seconds.
    looked_around: Option<i64>,
    /// When queues that refused jobs were last tried again, Unix seconds.
    tried_queues: Option<i64>,
}

impl<S: Store> Delayed<S> {
    /// A loop that has moved nothing yet, and moves `batch` items in one call at most.
    pub fn new(store: S, clock: Arc<dyn Clock>, batch: usize, events: Events) -> Self {
        Self {
            store,
            clock,
            events,
            most: batch,
            count: batch,
            large: Large::default(),
            attempt: None,
            stuck: Stuck::default(),
            newcomers: Newcomers::default(),
            refusing: Refusing::default(),
            early: None,
            ahead: None,
            looked_around: None,
            tried_queues: None,
        }
    }

    /// How many buckets are left behind: they can't be read, neither a queue nor the quarantine takes
    /// some of what is in them, or they are too early by Redis' clock, of which the first is counted.
    pub fn undone(&self) -> usize {
        self.stuck.len() + usize::from(self.early.is_some())
    }

    /// Ticks and sleeps until it is told to stop: wakes on each whole second, for delayed jobs are
    /// due then, and each `interval`.
    pub(super) async fn run(mut self, interval: Duration, mut context: LoopContext) {
        let mut pause = Duration::ZERO;
        while context.sleep(pause).await {
            pause = if context.trusted_term().is_some() {
                let now = context.now();
                let outcome = match self.tick(now).await {
                    Ok(tick) => self.look_around(now, &context.health).await.map(|()| tick),
                    error => error,
                };
                context
                    .health
                    .set(HealthPart::Buckets, self.bucket_trouble());
                context
                    .health
                    .set(HealthPart::Queues, self.refusing.trouble());
                context
                    .health
                    .set(HealthPart::EarlyBuckets, self.clock_trouble());
                let idle = interval.min(until_next_second(context.now()));
                context.pause(outcome, idle)
            } else {
                // They are the leader's to tell.
                self.stuck = Stuck::default();
                self.large = Large::default();
                self.newcomers = Newcomers::default();
                self.refusing.clear();
                (self.early, self.ahead) = (None, None);
                self.looked_around = None;
                context.health.set(HealthPart::Buckets, None);
                context.health.set(HealthPart::Queues, None);
                context.health.set(HealthPart::EarlyBuckets, None);
                context
                    .health
                    .publish(|snapshot| snapshot.quarantined = None);
                context.outage.end();
                until_next_second(context.now())
            };
        }
    }

    /// Looks every second whether queues that refused jobs take them now, and rarely at what changes slowly: how
    /// much is in quarantine.
    async fn look_around(&mut self, now: DateTime<Utc>, health: &Health) -> Result<(), StoreError> {
        let now = now.timestamp();
        let queues = self.refusing.queues();
        if !queues.is_empty() && self.tried_queues != Some(now) {
            self.tried_queues = Some(now);
            let take_jobs = self.store.take_jobs(&queues).await?;
            if self.refusing.forget(&take_jobs) {
                self.ahead = None;
                self.stuck.start_over();
            }
        }
        let recently = |at: i64| now.abs_diff(at) < RARELY;
        if self.looked_around.is_some_and(recently) {
            return Ok(());
        }
        // A quarantine of the wrong type is shown by the buckets that are stuck.
        let quarantined = match self.store.quarantined().await {
            Err(error) if error.is_partial() => None,
            number => Some(number?),
        };
        health.publish(|snapshot| snapshot.quarantined = quarantined);
        self.looked_around = Some(now);
        Ok(())
    }

    /// What is wrong with buckets, in words.
    fn bucket_trouble(&self) -> Option<String> {
        let (first, reason) = self.stuck.first()?;
        let (number, first) = (self.stuck.len(), bucket_name(first));
        Some(format!(
            "buckets that cannot be moved: {number}, the first is {first} ({reason})"
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
        self.attempt = None;
        let outcome = self.pass(now).await;
        match &outcome {
            Ok(_) => self.count = self.most.min(self.count.saturating_mul(2)),
            Err(error) => {
                if !error.is_partial() {
                    self.count = 1;
                    // Small calls work, or it would not have begun.
                    if let Some((begun, largest)) = self.attempt {
                        let ended = self.clock.monotonic();
                        let taken = ended.saturating_duration_since(begun);
                        self.large.failed(largest, taken, ended);
                    }
                }
                // Redis may come back with other buckets.
                self.stuck.lose_place();
            }
        }
        outcome
    }
}

fn bucket_name(member: &[u8]) -> String {
    format!("delayed:{}", excerpt(&String::from_utf8_lossy(member)))
}

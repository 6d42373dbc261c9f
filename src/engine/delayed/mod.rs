//! The delayed loop: moves delayed jobs from their buckets to their queues when they are due.
//!
//! ```text
//! mod         the loop, and the problems of buckets and queues
//! pass        one pass: chooses a batch, reads it, moves it and records the outcome
//! moving      moves a batch: each item goes to its queue or to quarantine, or stays
//! moved       outcome of moving a batch
//! refusing    queues that reject jobs
//! stuck       buckets that cannot be moved, and the place behind them
//! newcomers   buckets that apps add before the stuck ones
//! large       delays large items on a slow link
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

/// How often the size of the quarantine is read, in seconds.
const RARELY: u64 = 10;

/// The delayed loop. Each tick moves one batch of due delayed jobs.
pub struct Delayed<S> {
    store: S,
    clock: Arc<dyn Clock>,
    events: Events,
    /// Maximum number of items and buckets in one call.
    most: usize,
    /// Number of items and buckets in the next call: one after an error, then twice as many each time, so that an
    /// item that cannot be read or moved in time does not delay the others.
    count: usize,
    /// Whether large items wait, because they delay the others even so.
    large: Large,
    /// When the current attempt to read and move a batch began, and the maximum size of an item in it.
    attempt: Option<(Instant, usize)>,
    stuck: Stuck,
    newcomers: Newcomers,
    refusing: Refusing,
    /// Member of the first bucket of the last batch that was too early by Redis's clock.
    early: Option<Vec<u8>>,
    /// The items behind the last batch that are due at this time. They were read while that batch was moved, so
    /// that Redis is never idle.
    ahead: Option<(DateTime<Utc>, Due)>,
    /// When the size of the quarantine was last read, in Unix seconds.
    looked_around: Option<i64>,
    /// When queues that rejected jobs were last tried again, in Unix seconds.
    tried_queues: Option<i64>,
}

impl<S: Store> Delayed<S> {
    /// Returns a loop that moves at most `batch` items in one call.
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

    /// Returns the number of buckets that could not be moved: they cannot be read, neither a queue nor the
    /// quarantine takes some of their items, or they are too early by Redis's clock. Of the buckets that are too
    /// early, only the first is counted.
    pub fn undone(&self) -> usize {
        self.stuck.len() + usize::from(self.early.is_some())
    }

    /// Ticks and sleeps until the engine stops. Wakes on every whole second, when delayed jobs become due, and
    /// after every `interval`.
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
                // Only the leader reports problems of buckets and queues.
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

    /// Checks every second whether queues that rejected jobs take them now. Reads the size of the quarantine every
    /// ten seconds.
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
        // If the quarantine has the wrong type, the stuck buckets show it.
        let quarantined = match self.store.quarantined().await {
            Err(error) if error.is_partial() => None,
            number => Some(number?),
        };
        health.publish(|snapshot| snapshot.quarantined = quarantined);
        self.looked_around = Some(now);
        Ok(())
    }

    /// Returns the problem of buckets as text.
    fn bucket_trouble(&self) -> Option<String> {
        let (first, reason) = self.stuck.first()?;
        let (number, first) = (self.stuck.len(), bucket_name(first));
        Some(format!(
            "buckets that cannot be moved: {number}, the first is {first} ({reason})"
        ))
    }

    /// Returns as text which buckets are too early by Redis's clock.
    fn clock_trouble(&self) -> Option<String> {
        let first = bucket_name(self.early.as_ref()?);
        Some(format!(
            "delayed jobs are too early by Redis' clock and wait, the first are in {first}"
        ))
    }

    /// Moves a batch of what is due at `now` (whole seconds): the oldest items, or, within the same second, the
    /// items behind the last batch. Items that cannot be enqueued go to quarantine. Empty buckets are removed.
    ///
    /// # Errors
    /// [`StoreError`]; items that were not moved are still due, and calling this again is safe.
    pub async fn tick(&mut self, now: DateTime<Utc>) -> Result<Tick, StoreError> {
        self.attempt = None;
        let outcome = self.pass(now).await;
        match &outcome {
            Ok(_) => self.count = self.most.min(self.count.saturating_mul(2)),
            Err(error) => {
                if !error.is_partial() {
                    self.count = 1;
                    // Small calls succeed, or this attempt would not have begun.
                    if let Some((begun, largest)) = self.attempt {
                        let ended = self.clock.monotonic();
                        let taken = ended.saturating_duration_since(begun);
                        self.large.failed(largest, taken, ended);
                    }
                }
                // Redis may have other buckets after an error.
                self.stuck.lose_place();
            }
        }
        outcome
    }
}

fn bucket_name(member: &[u8]) -> String {
    format!("delayed:{}", excerpt(&String::from_utf8_lossy(member)))
}

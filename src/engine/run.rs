//! Starts the loops, watches them, and stops them in order.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::Context,
    core::{schedule::Schedule, term::Term, time::zone::Zone},
    engine::{
        command::Requests,
        context::LoopContext,
        delayed::Delayed,
        health::{Health, HealthPart},
        journal::Journal,
        leadership::Leadership,
        outage::Outage,
        publishing::Publishing,
        recurring::Recurring,
        reload::{Load, Reloads},
        rethrow::rethrow,
    },
    events::Events,
    store::Store,
};

/// Time that a running pass has to finish when the engine stops. Dropping the pass is safe too.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// Settings of the engine.
#[derive(Debug, Clone)]
pub struct Options {
    /// Length of the lease.
    pub lease: Duration,
    /// Longest pause between two checks for due delayed jobs. The loop also checks on every whole second.
    pub interval: Duration,
    /// Maximum number of delayed jobs that are moved in one step.
    pub delayed_batch: usize,
    /// Time zone of the times that resque-web shows.
    pub zone: Zone,
    /// Context in which dynamic entries are parsed. `None` disables dynamic entries.
    pub dynamic: Option<Context>,
}

/// The scheduler.
pub struct Engine<S> {
    pub(super) store: S,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: Options,
    pub(super) health: Health,
    pub(super) events: Events,
}

impl<S: Store> Engine<S> {
    /// Returns an engine that works on `store` and reports to `events`. Sends nothing yet.
    pub fn new(store: S, clock: Arc<dyn Clock>, options: Options, events: Events) -> Self {
        Self {
            store,
            clock,
            options,
            health: Health::default(),
            events,
        }
    }

    /// Returns the health, which you can read while the engine runs.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Runs until `stop`, then stops within a second: first the loops after their current pass, then the lease is
    /// released.
    ///
    /// # Panics
    /// If a loop panicked, which is a bug. The supervisor of the process restarts it.
    pub async fn run(
        mut self,
        schedule: Schedule,
        load: Load,
        requests: Requests,
        stop: CancellationToken,
    ) {
        let (journal_store, clock) = (self.store.with_own_connection(), &self.clock);
        let (mut journal, events) = Journal::new(journal_store, clock, &self.health, &self.events);
        self.events = events;
        let (to_recurring, led_recurring) = watch::channel(None);
        let (to_delayed, led_delayed) = watch::channel(None);
        let (schedules, in_force) = watch::channel(Arc::new(schedule));
        let recheck_lease = Arc::new(Notify::new());
        let released = CancellationToken::new();
        let context = self.context(led_delayed, in_force, &recheck_lease, &stop);
        let mut leadership = JoinSet::new();
        let terms = vec![to_recurring, to_delayed];
        let leader = self.leadership(terms).with_schedule(schedules.subscribe());
        leadership.spawn(leader.run(recheck_lease, released.clone()));
        let mut loops = JoinSet::new();
        let recurring = self.recurring();
        let publishing = self.publishing(&recurring);
        loops.spawn(recurring.run(context.of(HealthPart::Recurring, led_recurring)));
        loops.spawn(publishing.run(stop.clone()));
        loops.spawn(self.delayed().run(self.options.interval, context));
        let reloads = Reloads::new(&load, &schedules, &self.health, &self.events);
        let mut reloads = pin!(reloads.run(requests.reload));
        let mut statuses = pin!(self.statuses(requests.status, &schedules));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = &mut reloads => {}
                () = &mut statuses => {}
                () = journal.run() => {}
                Some(ended) = loops.join_next() => rethrow(ended),
                Some(ended) = leadership.join_next() => rethrow(ended),
            }
        }
        end(loops).await;
        released.cancel();
        while leadership.join_next().await.is_some() {}
        journal.finish().await;
        // Freeing a million entries takes longer than a stop may take, and the process exits now anyway.
        std::mem::forget(Arc::clone(&schedules.borrow()));
    }

    /// Returns the context of the delayed loop.
    fn context(
        &self,
        term: watch::Receiver<Option<Term>>,
        in_force: watch::Receiver<Arc<Schedule>>,
        recheck_lease: &Arc<Notify>,
        stop: &CancellationToken,
    ) -> LoopContext {
        LoopContext {
            clock: Arc::clone(&self.clock),
            health: self.health.clone(),
            events: self.events.clone(),
            outage: Outage::of(HealthPart::Delayed, &self.health, &self.events),
            max_skew: self.store.max_clock_skew(),
            recheck_lease: Arc::clone(recheck_lease),
            term,
            in_force,
            stop: stop.clone(),
        }
    }

    pub(super) fn leadership(&self, terms: Vec<watch::Sender<Option<Term>>>) -> Leadership<S> {
        let (store, clock) = (self.store.with_own_connection(), Arc::clone(&self.clock));
        let (lease, health) = (self.options.lease, &self.health);
        Leadership::new(store, clock, lease, health, &self.events, terms)
    }

    pub(super) fn recurring(&self) -> Recurring<S> {
        let (store, clock) = (self.store.with_own_connection(), Arc::clone(&self.clock));
        let recurring = Recurring::new(store, clock, self.options.zone, self.events.clone());
        match &self.options.dynamic {
            Some(context) => recurring.with_dynamic(context.clone()),
            None => recurring,
        }
    }

    fn publishing(&self, recurring: &Recurring<S>) -> Publishing<S> {
        let (store, clock) = (self.store.with_own_connection(), Arc::clone(&self.clock));
        Publishing::new(
            store,
            clock,
            &self.health,
            &self.events,
            recurring.published(),
        )
    }

    pub(super) fn delayed(&self) -> Delayed<S> {
        let (store, clock) = (self.store.with_own_connection(), Arc::clone(&self.clock));
        let batch = self.options.delayed_batch;
        Delayed::new(store, clock, batch, self.events.clone())
    }
}

/// Waits until the loops have finished their current pass. A pass that hangs on Redis is dropped, which is safe by
/// laws 1 and 2.
async fn end(mut loops: JoinSet<()>) {
    let _ = timeout(STOP_TIMEOUT, async {
        while let Some(ended) = loops.join_next().await {
            rethrow(ended);
        }
    })
    .await;
    loops.shutdown().await;
}

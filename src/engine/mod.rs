//! The loops: leadership, recurring, delayed. The only code that waits.
//!
//! Each loop has one function for a single pass that takes `now`; around it, it sleeps. Sleeps are
//! short, for the wall clock may jump and hosts are suspended: the clock is asked again and again.

mod agenda;
mod ahead;
mod breath;
pub mod delayed;
mod dynamic;
pub mod health;
mod leadership;
mod moved;
mod presence;
mod publishing;
pub mod recurring;
mod refusing;
mod reload;
mod standing;
mod state;
mod stuck;
mod wake;

use std::{pin::pin, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub use crate::engine::reload::Load;
use crate::{
    clock::Clock,
    config::Context,
    core::{schedule::Schedule, term::Term, time::zone::Zone},
    engine::{
        delayed::Delayed,
        health::{Health, Outage, Part},
        leadership::Leadership,
        publishing::Publishing,
        recurring::Recurring,
        reload::Reloads,
        wake::Wake,
    },
    events::{Event, Events},
    store::{Store, StoreError},
};

/// How long a tick may go on once the engine is to stop. Killing it is safe.
const STOP_TIMEOUT: Duration = Duration::from_millis(600);

/// What a pass of a loop came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// There is more to do at once.
    More,
    /// Nothing is left to do before `until`, or before something new arrives.
    Done {
        /// When the next thing is due.
        until: Option<DateTime<Utc>>,
    },
    /// We don't lead any more; nothing was done.
    LeaseLost,
}

/// Wishes of the operator. One that is made again before it was granted is granted once.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Read the schedule files anew.
    pub reload: Notify,
    /// Log where each entry stands.
    pub report: Notify,
}

/// How the engine is to work.
#[derive(Debug, Clone)]
pub struct Options {
    /// Length of the lease.
    pub lease: Duration,
    /// Longest pause between two looks for due delayed jobs, beside each whole second.
    pub interval: Duration,
    /// How many delayed jobs are moved in one step, at most.
    pub delayed_batch: usize,
    /// The zone of the times that resque-web shows.
    pub zone: Zone,
    /// What decides about the meaning of dynamic entries; without it there are none.
    pub dynamic: Option<Context>,
}

/// The scheduler.
pub struct Engine<S> {
    store: S,
    clock: Arc<dyn Clock>,
    options: Options,
    health: Health,
    events: Events,
}

/// Why `--once` did not do all of its work.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// Redis.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another scheduler leads, and does this work.
    #[error("another scheduler held the lease all the time (waited {waited:?}); it does this work")]
    NotLeading {
        /// How long we waited.
        waited: Duration,
    },
    /// This host's clock is too far off Redis' clock.
    #[error("{0}")]
    Clock(String),
    /// The lease was lost on the way.
    #[error("the lease was lost; what is left is the next leader's work")]
    LeaseLost,
    /// Some dynamic entries can't be used.
    #[error("not all is done: {0}")]
    Dynamic(String),
    /// Redis can't take some of it.
    #[error(
        "not all is done: {entries} entries were rejected, {buckets} buckets are stuck (see the log)"
    )]
    Undone {
        /// Entries whose queue rejects their job, or whose fire is too early by Redis' clock.
        entries: usize,
        /// Buckets that can't be moved, or are too early by Redis' clock.
        buckets: usize,
    },
    /// A signal came first.
    #[error("stopped before all was done")]
    Stopped,
}

impl<S: Store> Engine<S> {
    /// An engine on `store`, which reports to `events`. Nothing is sent yet.
    pub fn new(store: S, clock: Arc<dyn Clock>, options: Options, events: Events) -> Self {
        Self {
            store,
            clock,
            options,
            health: Health::default(),
            events,
        }
    }

    /// How it is; to be kept beside it.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Runs until `stop`, then stops in order within a second: the loops after their tick, then
    /// the lease is given back.
    ///
    /// # Panics
    /// If a loop panicked; that is a bug, and the supervisor of the process restarts it.
    pub async fn run(
        self,
        schedule: Schedule,
        load: Load,
        wishes: &Wishes,
        stop: CancellationToken,
    ) {
        let (to_recurring, led_recurring) = watch::channel(None);
        let (to_delayed, led) = watch::channel(None);
        let (schedules, in_force) = watch::channel(Arc::new(schedule));
        let doubt = Arc::new(Notify::new());
        let released = CancellationToken::new();
        let wake = Wake {
            clock: Arc::clone(&self.clock),
            health: self.health.clone(),
            events: self.events.clone(),
            outage: Outage::of(Part::Delayed, &self.health, &self.events),
            max_skew: self.store.max_clock_skew(),
            doubt: Arc::clone(&doubt),
            led: led.clone(),
            in_force,
            stop: stop.clone(),
        };
        let mut leadership = JoinSet::new();
        let terms = vec![to_recurring, to_delayed];
        let leader = self.leadership(terms).with_schedule(schedules.subscribe());
        leadership.spawn(leader.run(doubt, released.clone()));
        let mut loops = JoinSet::new();
        let recurring = self.recurring();
        let publishing = self.publishing(&recurring);
        loops.spawn(recurring.run(wake.of(Part::Recurring, led_recurring)));
        loops.spawn(publishing.run(stop.clone()));
        loops.spawn(self.delayed().run(self.options.interval, wake));
        let reloads = Reloads::new(&load, &schedules, &self.health, &self.events);
        let mut reloads = pin!(reloads.run(&wishes.reload));
        let mut reports = pin!(self.reports(&wishes.report, &schedules, &led));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = &mut reloads => {}
                () = &mut reports => {}
                Some(ended) = loops.join_next() => rethrow(ended),
                Some(ended) = leadership.join_next() => rethrow(ended),
            }
        }
        // A tick that hangs on Redis is dropped: laws 1 and 2 hold whenever we die.
        let _ = timeout(STOP_TIMEOUT, async {
            while let Some(ended) = loops.join_next().await {
                rethrow(ended);
            }
        })
        .await;
        loops.shutdown().await;
        released.cancel();
        while leadership.join_next().await.is_some() {}
        // To free a million entries takes longer than the stop has left, and the process ends now.
        std::mem::forget(Arc::clone(&schedules.borrow()));
    }

    /// Enqueues all that is due now, recurring and delayed, as leader, and returns, or stops when
    /// it is told to. Waits for a lease and a second for another leader to go.
    ///
    /// # Errors
    /// [`OnceError`].
    pub async fn run_once(
        self,
        schedule: &Schedule,
        stop: CancellationToken,
    ) -> Result<(), OnceError> {
        let mut leadership = self.leadership(vec![]);
        let done = tokio::select! {
            () = stop.cancelled() => Err(OnceError::Stopped),
            done = self.do_once(&mut leadership, schedule) => done,
        };
        leadership.release().await;
        done
    }

    async fn do_once(
        &self,
        leadership: &mut Leadership<S>,
        schedule: &Schedule,
    ) -> Result<(), OnceError> {
        let waited = self.options.lease + Duration::from_secs(1);
        let started = self.clock.monotonic();
        let term = loop {
            let pause = leadership.attempt().await?;
            if let Some(term) = leadership.term() {
                break term;
            }
            if let Some(why) = leadership.why_not_leading() {
                return Err(OnceError::Clock(why));
            }
            if self.clock.monotonic() - started > waited {
                return Err(OnceError::NotLeading { waited });
            }
            tokio::time::sleep(pause).await;
        };
        let now = self.clock.now();
        let recurring = self.recurring().keeping_all().unbounded();
        let (mut recurring, mut delayed) = (recurring, self.delayed());
        let schedule = Arc::new(schedule.clone());
        let mut tick = recurring.pass(term, Arc::clone(&schedule), now).await?;
        while tick == Tick::More && leadership.keep().await? {
            tick = recurring.pass(term, Arc::clone(&schedule), now).await?;
        }
        while tick != Tick::LeaseLost && leadership.keep().await? {
            tick = delayed.tick(now).await?;
            if let Tick::Done { .. } = tick {
                return match (recurring.rejected(), delayed.undone()) {
                    (0, 0) => recurring
                        .dynamic_trouble()
                        .map_or(Ok(()), |trouble| Err(OnceError::Dynamic(trouble))),
                    (entries, buckets) => Err(OnceError::Undone { entries, buckets }),
                };
            }
        }
        Err(OnceError::LeaseLost)
    }

    /// Grants each wish for a report, for ever: of the health at once, and of the entries when Redis has told
    /// where they are. A wish that comes meanwhile is granted with the same entries.
    async fn reports(
        &self,
        wishes: &Notify,
        schedules: &watch::Sender<Arc<Schedule>>,
        led: &watch::Receiver<Option<Term>>,
    ) {
        loop {
            wishes.notified().await;
            self.report_health(led);
            let files = Arc::clone(&schedules.borrow());
            let mut entries = pin!(self.report_entries(&files));
            loop {
                tokio::select! {
                    () = &mut entries => break,
                    () = wishes.notified() => self.report_health(led),
                }
            }
        }
    }

    fn report_health(&self, led: &watch::Receiver<Option<Term>>) {
        self.events.emit(&Event::Status {
            leading: led.borrow().is_some(),
            quarantined: self.health.quarantined(),
            problems: &self.health.problems(),
        });
    }

    async fn report_entries(&self, files: &Schedule) {
        if let Err(error) = self.read_and_report(files).await {
            let error = &error.to_string();
            self.events.emit(&Event::EntryStatusUnknown { error });
        }
    }

    async fn read_and_report(&self, files: &Schedule) -> Result<(), StoreError> {
        let store = self.store.apart();
        let schedule = match &self.options.dynamic {
            Some(context) => match dynamic::merged(&store, files, context).await {
                // Health tells why.
                Err(error) if error.is_partial() => files,
                merged => &merged?,
            },
            None => files,
        };
        standing::report(&store, schedule, self.clock.now(), &self.events).await
    }

    fn leadership(&self, terms: Vec<watch::Sender<Option<Term>>>) -> Leadership<S> {
        let (store, clock) = (self.store.apart(), Arc::clone(&self.clock));
        let (lease, health) = (self.options.lease, &self.health);
        Leadership::new(store, clock, lease, health, &self.events, terms)
    }

    fn recurring(&self) -> Recurring<S> {
        let (store, clock) = (self.store.apart(), Arc::clone(&self.clock));
        let recurring = Recurring::new(store, clock, self.options.zone, self.events.clone());
        match &self.options.dynamic {
            Some(context) => recurring.with_dynamic(context.clone()),
            None => recurring,
        }
    }

    fn publishing(&self, recurring: &Recurring<S>) -> Publishing<S> {
        let (store, clock) = (self.store.apart(), Arc::clone(&self.clock));
        Publishing::new(
            store,
            clock,
            &self.health,
            &self.events,
            recurring.published(),
        )
    }

    fn delayed(&self) -> Delayed<S> {
        let (store, clock) = (self.store.apart(), Arc::clone(&self.clock));
        let batch = self.options.delayed_batch;
        Delayed::new(store, clock, batch, self.events.clone())
    }
}

/// Goes on with the panic of a loop.
fn rethrow(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

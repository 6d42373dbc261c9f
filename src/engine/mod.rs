//! The loops: leadership, recurring, delayed. The only code that waits.
//!
//! Each loop has one function for a single pass that takes `now`; around it, it sleeps. Sleeps are
//! short, for the wall clock may jump and hosts are suspended: the clock is asked again and again.

pub mod delayed;
mod leadership;
mod outage;
pub mod recurring;
mod reload;
mod wake;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub use self::reload::Load;
use self::{
    delayed::Delayed, leadership::Leadership, outage::Outage, recurring::Recurring, wake::Wake,
};
use crate::{
    clock::Clock,
    core::{schedule::Schedule, term::Term, zone::Zone},
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

/// A wish of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Read the schedule files anew.
    Reload,
    /// Log where each entry stands.
    Report,
}

/// How the engine is to work.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Length of the lease.
    pub lease: Duration,
    /// Longest pause between two looks for due delayed jobs, beside each whole second.
    pub interval: Duration,
    /// The zone of the times that resque-web shows.
    pub zone: Zone,
}

/// The scheduler.
pub struct Engine {
    store: Store,
    clock: Arc<dyn Clock>,
    options: Options,
    outage: Outage,
}

/// Why `--once` did not do its work.
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
}

impl Engine {
    /// An engine on `store`. Nothing is sent yet.
    pub fn new(store: Store, clock: Arc<dyn Clock>, options: Options) -> Self {
        Self {
            store,
            clock,
            options,
            outage: Outage::default(),
        }
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
        mut commands: mpsc::Receiver<Command>,
        stop: CancellationToken,
    ) {
        let (terms, led) = watch::channel(None);
        let (schedules, in_force) = watch::channel(Arc::new(schedule));
        let doubt = Arc::new(Notify::new());
        let released = CancellationToken::new();
        let wake = Wake {
            clock: Arc::clone(&self.clock),
            outage: self.outage.clone(),
            doubt: Arc::clone(&doubt),
            led,
            in_force,
            stop: stop.clone(),
        };
        let mut leadership = JoinSet::new();
        leadership.spawn(self.leadership(terms).run(doubt, released.clone()));
        let mut loops = JoinSet::new();
        loops.spawn(self.recurring().run(wake.clone()));
        loops.spawn(self.delayed().run(self.options.interval, wake));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(command) = commands.recv() => match command {
                    Command::Reload => reload::reload(&load, &schedules),
                    Command::Report => tokio::select! {
                        () = stop.cancelled() => break,
                        () = self.report(&schedules) => {}
                    },
                },
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
    }

    /// Enqueues all that is due now, recurring and delayed, as leader, and returns. Waits for a
    /// lease and a second for another leader to go.
    ///
    /// # Errors
    /// [`OnceError`].
    pub async fn run_once(self, schedule: &Schedule) -> Result<(), OnceError> {
        let (terms, _) = watch::channel(None);
        let mut leadership = self.leadership(terms);
        let waited = self.options.lease + Duration::from_secs(1);
        let started = self.clock.monotonic();
        loop {
            let pause = leadership.attempt().await?;
            if leadership.term().is_some() {
                break;
            }
            if self.clock.monotonic() - started > waited {
                return Err(OnceError::NotLeading { waited });
            }
            tokio::time::sleep(pause).await;
        }
        let done = self.do_once(schedule, waited).await;
        leadership.release().await;
        done
    }

    async fn do_once(&self, schedule: &Schedule, waited: Duration) -> Result<(), OnceError> {
        let now = self.clock.now();
        let (mut recurring, mut delayed) = (self.recurring(), self.delayed());
        let mut done = recurring.take_up(schedule, now).await?;
        while done == Tick::More {
            done = recurring.tick(now).await?;
        }
        while done != Tick::LeaseLost {
            done = delayed.tick(now).await?;
            if let Tick::Done { .. } = done {
                return Ok(());
            }
        }
        Err(OnceError::NotLeading { waited })
    }

    async fn report(&self, schedules: &watch::Sender<Arc<Schedule>>) {
        let schedule = Arc::clone(&schedules.borrow());
        let report = recurring::report(&self.store, &schedule, self.clock.now()).await;
        // An outage is told about; the operator asks again.
        let _ = self.outage.clone().note(report);
    }

    fn leadership(&self, terms: watch::Sender<Option<Term>>) -> Leadership {
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        Leadership::new(store, clock, self.options.lease, self.outage.clone(), terms)
    }

    fn recurring(&self) -> Recurring {
        Recurring::new(
            self.store.clone(),
            Arc::clone(&self.clock),
            self.options.zone,
        )
    }

    fn delayed(&self) -> Delayed {
        Delayed::new(self.store.clone(), Arc::clone(&self.clock))
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

//! The recurring loop: fires each entry for each of its fire times, exactly once.
//!
//! ```text
//! mod        the loop: a pass puts the schedule in force, and ticks
//! state      where an entry stands, and which of its fires comes next
//! given_up   missed fires that are not caught up with
//! agenda     when each entry is looked at next, and which fires go in one call
//! firing     a tick: fires a batch of what is due, and plans its entries again
//! sending    sends the fires of a batch to Redis
//! outcome    what became of a fire
//! take_up    puts a schedule in force: reads the records of its entries, and changes them
//! steps      very many changes come into force in several steps
//! records    what the records of entries say, and what is to be recorded
//! resume     where each entry continues
//! memory     what we remember, and Redis may have lost
//! leaving    forgets the records of entries that left the schedule
//! ahead      records in the future
//! summary    what all entries come to
//! report     what the loop publishes of its entries
//! ```

mod agenda;
mod ahead;
mod firing;
mod given_up;
mod leaving;
mod memory;
mod outcome;
pub(super) mod records;
mod report;
mod resume;
mod sending;
mod state;
mod steps;
mod summary;
mod take_up;

use std::{collections::BTreeSet, future, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use crate::{
    clock::Clock,
    config::Context,
    core::{schedule::Schedule, term::Term, time::zone::Zone},
    engine::{
        context::{LoopContext, until_next_second},
        dynamic::Dynamic,
        in_force::{InForce, ToPublish},
        recurring::{
            agenda::{Agenda, CATCH_UP, FIRST_BATCH},
            ahead::Ahead,
            given_up::GivenUp,
            leaving::Leaving,
            memory::Memory,
            state::State,
            summary::Summary,
        },
        tick::Tick,
    },
    events::Events,
    store::{Store, StoreError},
};

/// All entries of the schedule in force, and when each is to be looked at next.
pub struct Recurring<S> {
    store: S,
    clock: Arc<dyn Clock>,
    zone: Zone,
    events: Events,
    states: Vec<State>,
    /// What they come to, unless one may have changed since.
    summary: Option<Summary>,
    agenda: Agenda,
    /// What was given up and is not recorded yet.
    given_up: BTreeSet<GivenUp>,
    /// How many missed fires of an entry are enqueued in one second.
    catch_up: u32,
    /// How many fires go in the next call.
    batch: usize,
    /// When the last tick was.
    ticked: DateTime<Utc>,
    /// The term and the schedule that the states are of.
    term: Option<u64>,
    in_force: Option<Arc<Schedule>>,
    /// Where it is published.
    to_publish: ToPublish,
    /// The schedule that comes into force, if it does so in several steps.
    coming: Option<Arc<Schedule>>,
    /// The number of the term in which the states were last read from Redis.
    states_of: u64,
    /// What the states say of progress may be out of date.
    stale: bool,
    /// Nobody else can have led since the states were up to date.
    unbroken: bool,
    memory: Memory,
    /// Which term this process holds now.
    led: Option<watch::Receiver<Option<Term>>>,
    /// Entries that wait for a time in the future.
    ahead: Ahead,
    /// Why it is not known what other schedulers fired.
    stamps_unreadable: Option<String>,
    /// The entries that apps set, if they are wanted.
    dynamic: Option<Dynamic>,
    /// The schedule may be a part of another scheduler's: entries that are not in it have not left.
    keeps_all: bool,
    leaving: Leaving,
}

impl<S: Store> Recurring<S> {
    /// A loop without entries. `zone` is for the times that resque-web shows.
    pub fn new(store: S, clock: Arc<dyn Clock>, zone: Zone, events: Events) -> Self {
        Self {
            store,
            clock,
            zone,
            events,
            states: vec![],
            summary: None,
            agenda: Agenda::default(),
            given_up: BTreeSet::new(),
            catch_up: CATCH_UP,
            batch: FIRST_BATCH,
            ticked: DateTime::UNIX_EPOCH,
            term: None,
            in_force: None,
            to_publish: ToPublish::default(),
            coming: None,
            states_of: 0,
            stale: false,
            unbroken: true,
            memory: Memory::default(),
            led: None,
            ahead: Ahead::default(),
            stamps_unreadable: None,
            dynamic: None,
            keeps_all: false,
            leaving: Leaving::default(),
        }
    }

    /// The schedule in force, to be published.
    pub(super) fn published(&self) -> watch::Receiver<Option<InForce>> {
        self.to_publish.subscribe()
    }

    /// Returns a loop that forgets no entry, whether it is in the schedule or not.
    #[must_use]
    pub fn keeping_all(self) -> Self {
        let keeps_all = true;
        Self { keeps_all, ..self }
    }

    /// With the dynamic entries, which `context` says how to read, over those of the files.
    #[must_use]
    pub fn with_dynamic(self, context: Context) -> Self {
        let dynamic = Some(Dynamic::new(context, self.events.clone()));
        Self { dynamic, ..self }
    }

    /// Without a bound on how much is caught up with in one second.
    #[must_use]
    pub(super) fn unbounded(self) -> Self {
        Self {
            catch_up: u32::MAX,
            ..self
        }
    }

    /// Passes and sleeps until it is told to stop.
    pub(super) async fn run(mut self, mut context: LoopContext) {
        let mut pause = Duration::ZERO;
        self.led = Some(context.term.clone());
        while context.sleep(pause).await {
            pause = if let Some(term) = context.trusted_term() {
                let outcome = self.pass(term, context.schedule(), context.now()).await;
                self.report(context.now(), &context.health);
                let idle = until_next_second(context.now());
                context.pause(outcome, idle)
            } else {
                Self::report_nothing(&context.health);
                self.to_publish.nothing();
                context.outage.end();
                until_next_second(context.now())
            };
        }
    }

    /// A tick, in this term and with this schedule of the files.
    ///
    /// # Errors
    /// [`StoreError`]; what was not done is done by the next one.
    pub async fn pass(
        &mut self,
        term: Term,
        schedule: Arc<Schedule>,
        now: DateTime<Utc>,
    ) -> Result<Tick, StoreError> {
        // A clock that goes back by more than others may be off leaves entries ahead of it.
        let went_back = now + TimeDelta::seconds(1) < self.ticked;
        let mut anew = self.term != Some(term.number()) || went_back;
        if !anew && self.memory.doubtful {
            anew = !self.memory.is_still_true(&self.store).await?;
        }
        self.memory.doubtful = false;
        if anew {
            // Others may have fired meanwhile: what we remember is worth nothing.
            self.in_force = None;
            self.to_publish.doubt();
            self.stale = true;
            self.term = Some(term.number());
            self.unbroken = self.states_of >= term.unbroken_since();
            self.memory.witness = None;
        }
        let outcome = self.pass_on(schedule, anew, now).await;
        self.memory.doubtful = outcome.is_err();
        // Those that are still being read are missing in it.
        if !self.dynamic.as_ref().is_some_and(Dynamic::is_reading) {
            self.to_publish.put(self.in_force.as_ref());
        }
        outcome
    }

    /// Fires what is due, puts a schedule in force if another one is to be, and fires what is due then. `anew`: none is
    /// in force.
    async fn pass_on(
        &mut self,
        files: Arc<Schedule>,
        anew: bool,
        now: DateTime<Utc>,
    ) -> Result<Tick, StoreError> {
        let old = self.in_force.clone();
        let mut tick = None;
        if old.is_some() {
            // What is due does not wait for changes.
            tick = Some(self.tick(now).await?);
            if tick == Some(Tick::LeaseLost) {
                return Ok(Tick::LeaseLost);
            }
        }
        let schedule = self.wanted(files, anew, now).await?;
        if !old.as_ref().is_some_and(|old| Arc::ptr_eq(old, &schedule)) {
            let ended = ended(self.led.clone(), self.term);
            let next = tokio::select! {
                biased;
                next = self.put_in_force(old, &schedule, now) => next?,
                () = ended => None,
            };
            let Some(next) = next else {
                return Ok(Tick::LeaseLost);
            };
            let arrived = Arc::ptr_eq(&next, &schedule);
            self.in_force = Some(next);
            self.states_of = self.term.unwrap_or_default();
            if !arrived {
                self.coming = Some(schedule);
                return Ok(Tick::More);
            }
            tick = None;
        }
        if let Some(dynamic) = &mut self.dynamic {
            dynamic.settle(&self.store).await?;
        }
        let tick = match tick {
            Some(tick) => tick,
            None => self.tick(now).await?,
        };
        if self.dynamic.as_ref().is_some_and(Dynamic::is_reading) && tick != Tick::LeaseLost {
            return Ok(Tick::More);
        }
        if let Tick::Done { .. } = tick
            && !self.forget(now).await?
        {
            return Ok(Tick::LeaseLost);
        }
        Ok(tick)
    }

    /// Returns the schedule that is to be in force: that of the files with the dynamic entries over it, or the one that
    /// comes into force already.
    async fn wanted(
        &mut self,
        files: Arc<Schedule>,
        anew: bool,
        now: DateTime<Utc>,
    ) -> Result<Arc<Schedule>, StoreError> {
        // While a schedule comes into force in steps, nothing newer is looked at: entries that leave by it are
        // not in doubt then.
        if let Some(coming) = self.coming.take().filter(|_| !anew) {
            return Ok(coming);
        }
        let Some(dynamic) = &mut self.dynamic else {
            return Ok(files);
        };
        let unbroken = self.unbroken || !anew;
        dynamic.look(&self.store, files, anew, unbroken, now).await
    }

    /// Puts `schedule` in force at `now`, or one on the way to it from `old`, and returns it. `None`: the lease
    /// is lost.
    async fn put_in_force(
        &mut self,
        old: Option<Arc<Schedule>>,
        schedule: &Arc<Schedule>,
        now: DateTime<Utc>,
    ) -> Result<Option<Arc<Schedule>>, StoreError> {
        if let Some(old) = old
            && self.stamps_unreadable.is_none()
            && self.is_whole(&old)
        {
            return self.change(&old, schedule, now).await;
        }
        let taken = self.take_up(schedule, now).await?;
        Ok((taken != Tick::LeaseLost).then(|| Arc::clone(schedule)))
    }
}

/// Waits until this process holds another term than `number`, or none.
async fn ended(led: Option<watch::Receiver<Option<Term>>>, number: Option<u64>) {
    let Some(mut led) = led else {
        return future::pending().await;
    };
    let other = |term: &Option<Term>| term.map(|it| it.number()) != number;
    // An error means that the engine is stopping.
    let _ = led.wait_for(other).await;
}

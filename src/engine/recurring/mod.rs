//! The recurring loop: fires each entry for each of its fire times, exactly once.
//!
//! ```text
//! mod        the loop: a pass puts the schedule in force and fires what is due
//! state      state of one entry: its progress and its next fire
//! given_up   missed fires that are not enqueued
//! agenda     when to look at each entry, and which fires go in one call
//! firing     a tick: fires a batch of what is due
//! sending    sends the fires of a batch to Redis
//! outcome    applies the outcome of a fire to the state of its entry
//! take_up    puts a schedule in force: reads and changes the records of its entries
//! steps      puts very many changes in force in several steps
//! records    reads records, and decides which to change
//! resume     computes where each entry continues
//! memory     decides whether to trust our own state or Redis after a failure
//! leaving    removes the records of entries that left the schedule
//! ahead      entries with recorded times in the future
//! summary    number of entries in trouble
//! report     publishes the snapshot and problems of the loop
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

/// The recurring loop: the entries of the schedule in force, and when to look at each of them.
pub struct Recurring<S> {
    store: S,
    clock: Arc<dyn Clock>,
    zone: Zone,
    events: Events,
    states: Vec<State>,
    /// Summary of the states. `None` if it must be computed again.
    summary: Option<Summary>,
    agenda: Agenda,
    /// Missed fires that are not recorded yet.
    given_up: BTreeSet<GivenUp>,
    /// Maximum number of missed fires of one entry that are enqueued in one second.
    catch_up: u32,
    /// Maximum number of fires in the next call.
    batch: usize,
    /// Time of the last tick.
    ticked: DateTime<Utc>,
    /// The term to which the states belong.
    term: Option<u64>,
    in_force: Option<Arc<Schedule>>,
    /// Passes the schedule in force to the loop that publishes it.
    to_publish: ToPublish,
    /// The schedule that is being put in force in several steps.
    coming: Option<Arc<Schedule>>,
    /// Number of the term in which the states were last read from Redis.
    states_of: u64,
    /// Whether the progress of the entries must be read from Redis again.
    stale: bool,
    /// Whether no other process can have led since the states were last correct.
    unbroken: bool,
    memory: Memory,
    /// The term that this process holds now.
    led: Option<watch::Receiver<Option<Term>>>,
    /// Entries that wait for a time in the future.
    ahead: Ahead,
    /// Error that prevents reading what other schedulers enqueued.
    stamps_unreadable: Option<String>,
    /// Dynamic entries, if they are enabled.
    dynamic: Option<Dynamic>,
    /// Whether to keep the records of entries that are not in the schedule. Another scheduler may have them.
    keeps_all: bool,
    leaving: Leaving,
}

impl<S: Store> Recurring<S> {
    /// Returns a loop without entries. `zone` is the zone of the times that resque-web shows.
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

    /// Returns a receiver of the schedule to publish.
    pub(super) fn published(&self) -> watch::Receiver<Option<InForce>> {
        self.to_publish.subscribe()
    }

    /// Keeps the records of all entries, even those that are not in the schedule.
    #[must_use]
    pub fn keeping_all(self) -> Self {
        let keeps_all = true;
        Self { keeps_all, ..self }
    }

    /// Adds the dynamic entries, parsed in `context`. They replace entries of the files with the same name.
    #[must_use]
    pub fn with_dynamic(self, context: Context) -> Self {
        let dynamic = Some(Dynamic::new(context, self.events.clone()));
        Self { dynamic, ..self }
    }

    /// Removes the limit on missed fires that are enqueued in one second.
    #[must_use]
    pub(super) fn unbounded(self) -> Self {
        Self {
            catch_up: u32::MAX,
            ..self
        }
    }

    /// Runs a pass, sleeps, and repeats until the engine stops.
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

    /// Puts `schedule`, the schedule of the files, in force if it is not, and fires what is due at `now`.
    ///
    /// # Errors
    /// [`StoreError`]; the next pass does what is left.
    pub async fn pass(
        &mut self,
        term: Term,
        schedule: Arc<Schedule>,
        now: DateTime<Utc>,
    ) -> Result<Tick, StoreError> {
        // If the clock goes back by more than the tolerated skew, records may now be in the future, so read them
        // again.
        let went_back = now + TimeDelta::seconds(1) < self.ticked;
        let mut reread = self.term != Some(term.number()) || went_back;
        if !reread && self.memory.doubtful {
            reread = !self.memory.is_still_true(&self.store).await?;
        }
        self.memory.doubtful = false;
        if reread {
            // Other processes may have fired entries meanwhile, so our state is out of date.
            self.in_force = None;
            self.to_publish.doubt();
            self.stale = true;
            self.term = Some(term.number());
            self.unbroken = self.states_of >= term.unbroken_since();
            self.memory.witness = None;
        }
        let outcome = self.pass_on(schedule, reread, now).await;
        self.memory.doubtful = outcome.is_err();
        // Entries that are still being read are missing from the schedule in force.
        if !self.dynamic.as_ref().is_some_and(Dynamic::is_reading) {
            self.to_publish.put(self.in_force.as_ref());
        }
        outcome
    }

    /// Fires what is due, puts the wanted schedule in force if it is another one, and fires what is due then.
    /// `reread`: no schedule is in force, and all records must be read.
    async fn pass_on(
        &mut self,
        files: Arc<Schedule>,
        reread: bool,
        now: DateTime<Utc>,
    ) -> Result<Tick, StoreError> {
        let old = self.in_force.clone();
        let mut tick = None;
        if old.is_some() {
            // Due fires do not wait for changes of the schedule.
            tick = Some(self.tick(now).await?);
            if tick == Some(Tick::LeaseLost) {
                return Ok(Tick::LeaseLost);
            }
        }
        let schedule = self.wanted(files, reread, now).await?;
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
            dynamic.acknowledge(&self.store).await?;
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

    /// Returns the schedule that is to be in force: the entries of the files together with the dynamic entries, or
    /// the schedule that is already being put in force in steps.
    async fn wanted(
        &mut self,
        files: Arc<Schedule>,
        reread: bool,
        now: DateTime<Utc>,
    ) -> Result<Arc<Schedule>, StoreError> {
        // While a schedule is put in force in steps, newer ones wait. So it is clear which entries leave with it.
        if let Some(coming) = self.coming.take().filter(|_| !reread) {
            return Ok(coming);
        }
        let Some(dynamic) = &mut self.dynamic else {
            return Ok(files);
        };
        let unbroken = self.unbroken || !reread;
        dynamic
            .look(&self.store, files, reread, unbroken, now)
            .await
    }

    /// Puts `schedule` in force at `now`, or an intermediate schedule between `old` and it. Returns the one in
    /// force, or `None` if the lease is lost.
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

/// Waits until the term `number` ends. Waits forever without `led`.
async fn ended(led: Option<watch::Receiver<Option<Term>>>, number: Option<u64>) {
    let Some(mut led) = led else {
        return future::pending().await;
    };
    let other = |term: &Option<Term>| term.map(|it| it.number()) != number;
    // An error means that the engine is stopping.
    let _ = led.wait_for(other).await;
}

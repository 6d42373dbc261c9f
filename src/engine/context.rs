//! What each loop is given: what wakes it, what it may do now, and what stops it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    core::{schedule::Schedule, term::Term},
    engine::{
        health::{Health, HealthPart},
        outage::Outage,
        tick::Tick,
    },
    events::Events,
    store::StoreError,
};

/// How long until the next whole second. No loop sleeps longer, so that a step of the clock heals within
/// it; and all wake then, for what is due is due then.
pub(super) fn until_next_second(now: DateTime<Utc>) -> Duration {
    Duration::from_secs(1).saturating_sub(Duration::from_nanos(now.timestamp_subsec_nanos().into()))
}

/// What a loop is given.
pub(super) struct LoopContext {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) health: Health,
    pub(super) events: Events,
    pub(super) outage: Outage,
    /// How far this host's clock may be off Redis' clock.
    pub(super) max_skew: Option<TimeDelta>,
    /// Told when the lease is to be looked at: Redis says that it is lost, or the clock has jumped.
    pub(super) recheck_lease: Arc<Notify>,
    pub(super) term: watch::Receiver<Option<Term>>,
    pub(super) in_force: watch::Receiver<Arc<Schedule>>,
    pub(super) stop: CancellationToken,
}

impl LoopContext {
    /// The same for the loop `part`, which hears of terms from `term`.
    pub(super) fn of(&self, part: HealthPart, term: watch::Receiver<Option<Term>>) -> Self {
        Self {
            clock: Arc::clone(&self.clock),
            health: self.health.clone(),
            events: self.events.clone(),
            outage: Outage::of(part, &self.health, &self.events),
            max_skew: self.max_skew,
            recheck_lease: Arc::clone(&self.recheck_lease),
            term,
            in_force: self.in_force.clone(),
            stop: self.stop.clone(),
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The term in which we may act now.
    pub(super) fn trusted_term(&self) -> Option<Term> {
        let term = (*self.term.borrow())?;
        let (monotonic, now) = (self.clock.monotonic(), self.clock.now());
        if term.remaining(monotonic).is_zero() {
            return None;
        }
        let skew = term.skew(monotonic, now).abs();
        if self.max_skew.is_some_and(|max| skew > max) {
            // The clock has jumped since the last look at Redis' clock: another look comes first.
            self.recheck_lease.notify_one();
            return None;
        }
        Some(term)
    }

    /// The schedule in force.
    pub(super) fn schedule(&self) -> Arc<Schedule> {
        Arc::clone(&self.in_force.borrow())
    }

    /// Turns the outcome of a pass into the pause after it. `idle` is the longest.
    pub(super) fn pause(&mut self, outcome: Result<Tick, StoreError>, idle: Duration) -> Duration {
        match self.outage.note(outcome, self.clock.monotonic()) {
            Ok(Tick::More) => Duration::ZERO,
            Ok(Tick::Done { until: None }) => idle,
            Ok(Tick::Done { until: Some(until) }) => {
                (until - self.now()).to_std().unwrap_or_default().min(idle)
            }
            Ok(Tick::LeaseLost) => {
                self.recheck_lease.notify_one();
                idle
            }
            Err(pause) => pause,
        }
    }

    /// Sleeps; a new term or schedule wakes it. `false`: stop.
    pub(super) async fn sleep(&mut self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return false,
            () = self.clock.sleep(pause) => {}
            // An error means that the engine is stopping, and `stop` says so.
            _ = self.term.changed() => {}
            _ = self.in_force.changed() => {}
        }
        true
    }
}

//! What each loop shares with the engine: its term, its schedule, its sleep and its stop signal.

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

/// Returns the time until the next whole second. Fires and buckets are due on whole seconds, so all loops wake
/// then. No loop sleeps longer, so that it notices a clock step within a second.
pub(super) fn until_next_second(now: DateTime<Utc>) -> Duration {
    Duration::from_secs(1).saturating_sub(Duration::from_nanos(now.timestamp_subsec_nanos().into()))
}

/// What each loop gets from the engine.
pub(super) struct LoopContext {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) health: Health,
    pub(super) events: Events,
    pub(super) outage: Outage,
    /// Maximum difference between this host's clock and Redis's for a leader.
    pub(super) max_skew: Option<TimeDelta>,
    /// Notified when leadership must check the lease: Redis reported that it is lost, or the clock jumped.
    pub(super) recheck_lease: Arc<Notify>,
    pub(super) term: watch::Receiver<Option<Term>>,
    pub(super) in_force: watch::Receiver<Arc<Schedule>>,
    pub(super) stop: CancellationToken,
}

impl LoopContext {
    /// Returns the same context for the loop `part`, which receives its terms from `term`.
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

    /// Returns the current term if this process may act as the leader now.
    pub(super) fn trusted_term(&self) -> Option<Term> {
        let term = (*self.term.borrow())?;
        let (monotonic, now) = (self.clock.monotonic(), self.clock.now());
        if term.remaining(monotonic).is_zero() {
            return None;
        }
        let skew = term.skew(monotonic, now).abs();
        if self.max_skew.is_some_and(|max| skew > max) {
            // The clock jumped since it was last compared with Redis's. Compare it again before acting on it.
            self.recheck_lease.notify_one();
            return None;
        }
        Some(term)
    }

    /// The schedule in force.
    pub(super) fn schedule(&self) -> Arc<Schedule> {
        Arc::clone(&self.in_force.borrow())
    }

    /// Returns the pause after a pass with this outcome, at most `idle` unless the pass failed.
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

    /// Sleeps until `pause` is over or the term or schedule changes. Returns `false` if the loop must stop.
    pub(super) async fn sleep(&mut self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return false,
            () = self.clock.sleep(pause) => {}
            // A closed channel means that the engine is stopping; then `stop` is cancelled too.
            _ = self.term.changed() => {}
            _ = self.in_force.changed() => {}
        }
        true
    }
}

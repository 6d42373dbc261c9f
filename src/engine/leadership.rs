//! Follower ⇄ leader: takes the lease, renews it, and publishes the current term.
//!
//! ```text
//!              lease is free, or ours
//!   follower ────────────────────────▶ leader ──┐ renewed, at a third of the lease
//!      ▲                                  │  ▲──┘
//!      └──────────────────────────────────┘
//!        another holds it, or trust has run out before a renewal
//! ```
//!
//! Leadership saves work; the fence in `fire.lua` and the atomic `move.lua` make us correct
//! (DESIGN, law 3).

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;
use crate::{
    clock::Clock,
    core::term::Term,
    events::Transition,
    store::{Lease, Store, StoreError},
};

/// How often a follower looks at the lease; a leader that stops cleanly wakes it at once.
const LOOK: Duration = Duration::from_secs(1);

/// How long giving the lease back may take; it ends by itself if that fails.
const RELEASE_TIMEOUT: Duration = Duration::from_millis(250);

/// The state machine of one process.
pub(super) struct Leadership {
    store: Store,
    clock: Arc<dyn Clock>,
    lease: Duration,
    outage: Outage,
    term: Option<Term>,
    terms_so_far: u64,
    following: Option<String>,
    published: watch::Sender<Option<Term>>,
}

impl Leadership {
    /// A follower that will publish its terms.
    pub(super) fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        lease: Duration,
        outage: Outage,
        published: watch::Sender<Option<Term>>,
    ) -> Self {
        Self {
            store,
            clock,
            lease,
            outage,
            term: None,
            terms_so_far: 0,
            following: None,
            published,
        }
    }

    /// Ticks until `stop`, then gives the lease back. `doubt` wakes it early: a loop was told
    /// that the lease is lost.
    pub(super) async fn run(mut self, doubt: Arc<Notify>, stop: CancellationToken) {
        loop {
            let pause = tokio::select! {
                () = stop.cancelled() => break,
                pause = self.tick() => pause,
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = doubt.notified() => {}
                () = self.rest(pause) => {}
            }
        }
        self.release().await;
    }

    /// The term that this process holds, if it leads.
    pub(super) fn term(&self) -> Option<Term> {
        self.term
    }

    /// One try for the lease, with its errors told about. Returns when to try again.
    async fn tick(&mut self) -> Duration {
        let outcome = self.attempt().await;
        self.outage
            .note(outcome)
            .unwrap_or_else(|pause| match self.term {
                // The outcome is unknown: a leader is trusted until its term ends, not longer.
                Some(term) => pause.min(term.remaining(self.clock.monotonic())),
                None => pause,
            })
    }

    /// One try for the lease. Returns when to renew it, or to look again.
    pub(super) async fn attempt(&mut self) -> Result<Duration, StoreError> {
        let started = self.clock.monotonic();
        if self
            .term
            .is_some_and(|term| term.remaining(started).is_zero())
        {
            self.step_down("the lease ran out before it could be renewed");
        }
        Ok(match self.store.take_lease(self.lease).await? {
            Lease::Renewed => self.lead(started),
            Lease::Taken => {
                if self.term.is_some() {
                    self.step_down("the lease was gone");
                }
                self.lead(started)
            }
            Lease::HeldBy { holder, remaining } => self.follow(holder, remaining),
        })
    }

    fn lead(&mut self, attempt_started: std::time::Instant) -> Duration {
        let term = if let Some(term) = self.term {
            Transition::RenewedLead.emit();
            term.renewed(attempt_started)
        } else {
            self.terms_so_far += 1;
            self.following = None;
            Transition::TookLead {
                holder: self.store.holder(),
                lease: self.lease,
                lock: &self.store.lock(),
            }
            .emit();
            Term::new(self.terms_so_far, attempt_started, self.lease)
        };
        self.term = Some(term);
        self.published.send_replace(Some(term));
        term.renewal_due_in(self.clock.monotonic())
    }

    fn follow(&mut self, holder: String, remaining: Option<Duration>) -> Duration {
        if self.term.is_some() {
            self.step_down("another scheduler holds the lease");
        }
        if self.following.as_ref() != Some(&holder) {
            Transition::Following {
                holder: &holder,
                remaining,
                lock: &self.store.lock(),
            }
            .emit();
        }
        self.following = Some(holder);
        // One millisecond more, for Redis expires keys by its own clock.
        remaining.map_or(LOOK, |ttl| LOOK.min(ttl + Duration::from_millis(1)))
    }

    fn step_down(&mut self, reason: &str) {
        self.term = None;
        self.published.send_replace(None);
        Transition::LostLead { reason }.emit();
    }

    /// Waits for `pause`; a follower is woken when the leader stops.
    async fn rest(&self, pause: Duration) {
        let waited = match self.following {
            Some(_) => self.store.wait_for_handover(pause).await.is_ok(),
            None => false,
        };
        if !waited {
            tokio::time::sleep(pause).await;
        }
    }

    /// Renews the lease if it is time to. `false`: it is lost.
    pub(super) async fn keep(&mut self) -> Result<bool, StoreError> {
        let now = self.clock.monotonic();
        if self
            .term
            .is_some_and(|term| term.renewal_due_in(now).is_zero())
        {
            self.attempt().await?;
        }
        Ok(self.term.is_some())
    }

    /// Gives the lease back if it is ours, perhaps by an attempt that was not waited for, so that a
    /// follower takes over at once.
    pub(super) async fn release(&mut self) {
        self.term = None;
        self.published.send_replace(None);
        let release = tokio::time::timeout(RELEASE_TIMEOUT, self.store.release_lease());
        if let Ok(Ok(true)) = release.await {
            Transition::ReleasedLead.emit();
        }
    }
}

//! Follower ⇄ leader: takes the lease, renews it, and publishes the current term.
//!
//! ```text
//!              lease is free, or ours
//!   follower ────────────────────────▶ leader ──┐ renewed, at about a third of the lease
//!      ▲                                  │  ▲──┘
//!      └──────────────────────────────────┘
//!        another holds it, or trust has run out before a renewal
//! ```
//!
//! If this host's clock is too far off Redis's, this process does not lead: it would enqueue too early, and leave a
//! fence in the future that blocks the entries. It releases the lease and only compares the clocks until its own is
//! right.
//!
//! All schedulers set a TTL on their lock. A lock without a TTL therefore has no living owner. It is taken over
//! after it has been unchanged for the length of one lease.
//!
//! Leadership only saves work. Correctness comes from the fence in `fire.lua` and from the atomic `move.lua`
//! (docs/design.md, law 3).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    core::{
        schedule::Schedule,
        term::{Attempt, Term},
    },
    engine::{
        health::{Health, HealthPart},
        host_clock::HostClock,
        outage::Outage,
        presence::Presence,
    },
    events::{Event, Events},
    store::{Lease, Role, Store, StoreError},
};

/// How often a follower checks the lease. A leader that stops cleanly wakes it earlier.
const LOOK: Duration = Duration::from_secs(1);

/// Time limit for releasing the lease. If the release fails, the lease expires.
const RELEASE_TIMEOUT: Duration = Duration::from_millis(250);

/// The loop that takes and renews the lease of this process.
pub(super) struct Leadership<S> {
    store: S,
    clock: Arc<dyn Clock>,
    lease: Duration,
    health: Health,
    events: Events,
    outage: Outage,
    term: Option<Term>,
    terms_so_far: u64,
    /// The last term, unless another scheduler may have led since then.
    last_term: Option<Term>,
    following: Option<String>,
    /// Holder of a lock without a TTL, and when we first saw it.
    stuck: Option<(String, Instant)>,
    host_clock: HostClock,
    presence: Presence,
    /// One channel for each loop, notified in this order. If the loops shared a channel, tokio would wake them in
    /// random order, and a simulation could not be repeated.
    published: Vec<watch::Sender<Option<Term>>>,
}

impl<S: Store> Leadership<S> {
    /// Returns a follower. It sends its terms to `published`.
    pub(super) fn new(
        store: S,
        clock: Arc<dyn Clock>,
        lease: Duration,
        health: &Health,
        events: &Events,
        published: Vec<watch::Sender<Option<Term>>>,
    ) -> Self {
        let host_clock = HostClock::new(store.max_clock_skew());
        let presence = Presence::new(store.holder(), clock.now(), lease, health);
        Self {
            store,
            clock,
            lease,
            health: health.clone(),
            events: events.clone(),
            outage: Outage::of(HealthPart::Leadership, health, events),
            term: None,
            terms_so_far: 0,
            last_term: None,
            following: None,
            stuck: None,
            host_clock,
            presence,
            published,
        }
    }

    /// Adds the schedule, whose digest is part of this process's heartbeat.
    pub(super) fn with_schedule(self, schedule: watch::Receiver<Arc<Schedule>>) -> Self {
        let presence = self.presence.with_schedule(schedule);
        Self { presence, ..self }
    }

    /// Takes and renews the lease until `stop`, then releases it. `recheck_lease` wakes it early, when Redis
    /// reported to a loop that the lease is lost.
    pub(super) async fn run(mut self, recheck_lease: Arc<Notify>, stop: CancellationToken) {
        loop {
            let pause = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                pause = self.tick() => pause,
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = recheck_lease.notified() => {}
                () = self.rest(pause) => {}
            }
        }
        self.release().await;
    }

    /// Returns the current term if this process is the leader.
    pub(super) fn term(&self) -> Option<Term> {
        self.term
    }

    /// Attempts to take or renew the lease once and reports errors. Returns the pause before the next attempt.
    async fn tick(&mut self) -> Duration {
        let outcome = self.attempt().await;
        self.host_clock.judge(&self.health, &self.events);
        self.publish_snapshot();
        self.outage
            .note(outcome, self.clock.monotonic())
            .unwrap_or_else(|pause| match self.term {
                // After an error, it is unknown whether Redis renewed the lease. The leader continues until its
                // term ends.
                Some(term) => pause.min(term.remaining(self.clock.monotonic())),
                None => pause,
            })
    }

    /// Attempts to take or renew the lease once. Returns the pause before the next attempt.
    ///
    /// # Errors
    /// [`StoreError`]; the attempt may have succeeded.
    pub(super) async fn attempt(&mut self) -> Result<Duration, StoreError> {
        let started = self.clock.monotonic();
        if self
            .term
            .is_some_and(|term| term.remaining(started).is_zero())
        {
            self.step_down("the lease expired before it was renewed");
        }
        if self.host_clock.may_be_too_far_off() {
            let before = self.clock.now();
            let heartbeat = self.presence.due(self.role(), started);
            let sends_heartbeat = heartbeat.is_some();
            let redis_clock = self.store.time(heartbeat).await?;
            if sends_heartbeat {
                self.presence.sent(started);
            }
            let after = self.clock.now();
            self.host_clock.compare(before, after, redis_clock);
            if self.host_clock.is_too_far_off() {
                return Ok(LOOK);
            }
        }
        let (started, before) = (self.clock.monotonic(), self.clock.now());
        let stuck_holder = self.stuck_holder(started);
        let heartbeat = self.presence.due(self.role(), started);
        let sends_heartbeat = heartbeat.is_some();
        let stuck_holder = stuck_holder.as_deref();
        let attempt = self.store.take_lease(self.lease, stuck_holder, heartbeat);
        let (lease, redis_clock) = attempt.await?;
        if sends_heartbeat {
            self.presence.sent(started);
        }
        let after = self.clock.now();
        let skew = self.host_clock.compare(before, after, redis_clock);
        if self.host_clock.is_too_far_off() {
            self.abdicate(&lease).await;
            return Ok(LOOK);
        }
        let attempt = Attempt {
            started,
            server_clock: before - skew,
        };
        Ok(match lease {
            Lease::Renewed => self.lead(attempt),
            Lease::Taken => {
                if self.term.is_some() {
                    self.step_down("the lease was gone");
                }
                self.lead(attempt)
            }
            Lease::HeldBy { holder, remaining } => self.follow(started, holder, remaining),
        })
    }

    fn role(&self) -> Role {
        if self.term.is_some() {
            Role::Leading
        } else if self.host_clock.is_too_far_off() {
            Role::ClockOff
        } else {
            Role::Following
        }
    }

    /// Releases the lease and stops leading, so that a host with an accurate clock can take over.
    async fn abdicate(&mut self, lease: &Lease) {
        if self.term.is_some() {
            self.step_down("this host's clock is too far off Redis' clock");
        }
        self.last_term = None;
        // This process must not wait for a handover, because it would take the wake-up away from another follower.
        (self.following, self.stuck) = (None, None);
        if !matches!(lease, Lease::HeldBy { .. }) {
            self.release().await;
        }
    }

    /// Returns the holder of a lock that has no TTL and has been unchanged for the length of a lease.
    fn stuck_holder(&self, now: Instant) -> Option<String> {
        let (holder, since) = self.stuck.as_ref()?;
        (now.saturating_duration_since(*since) >= self.lease).then(|| holder.clone())
    }

    fn lead(&mut self, attempt: Attempt) -> Duration {
        self.stuck = None;
        let term = if let Some(term) = self.term {
            self.events.emit(&Event::LeaseRenewed);
            term.renewed(attempt)
        } else {
            self.terms_so_far += 1;
            self.following = None;
            self.events.emit(&Event::LeaseTaken {
                holder: self.store.holder(),
                lease: self.lease,
                lock: &self.store.lock(),
            });
            let term = Term::new(self.terms_so_far, self.lease, attempt);
            let now = self.clock.monotonic();
            match self.last_term.filter(|last| last.is_held_until(now)) {
                Some(last) => term.following(last),
                None => term,
            }
        };
        self.last_term = Some(term);
        self.publish(Some(term));
        let due = term.renewal_due_in(self.clock.monotonic());
        to_whole_second(due, self.clock.now())
    }

    fn follow(&mut self, now: Instant, holder: String, remaining: Option<Duration>) -> Duration {
        if self.term.is_some() {
            self.step_down("another scheduler holds the lease");
        }
        self.last_term = None;
        let lock = &self.store.lock();
        if self.following.as_ref() != Some(&holder) {
            let holder = &holder;
            self.events.emit(&Event::Following { holder, lock });
        }
        let known = self.stuck.take().filter(|(before, _)| *before == holder);
        if remaining.is_none() {
            if known.is_none() {
                let (holder, lease) = (&holder, self.lease);
                self.events.emit(&Event::LockStuck {
                    holder,
                    lock,
                    lease,
                });
            }
            self.stuck = known.or_else(|| Some((holder.clone(), now)));
        }
        self.following = Some(holder);
        // Redis expires keys by its own clock, so look one millisecond later.
        remaining.map_or(LOOK, |ttl| LOOK.min(ttl + Duration::from_millis(1)))
    }

    fn publish(&mut self, term: Option<Term>) {
        self.term = term;
        let number = |term: Option<Term>| term.map(|it| it.number());
        for published in &self.published {
            published.send_if_modified(|published| {
                // Do not wake the loops for a renewal.
                number(std::mem::replace(published, term)) != number(term)
            });
        }
    }

    fn publish_snapshot(&self) {
        self.health.publish(|snapshot| {
            snapshot.term = self.term;
            snapshot.leader.clone_from(&self.following);
            snapshot.skew = self.host_clock.skew();
        });
    }

    fn step_down(&mut self, reason: &str) {
        self.publish(None);
        self.events.emit(&Event::LeaseLost { reason });
    }

    /// Returns why this host must not lead, if its clock is too far off.
    pub(super) fn why_not_leading(&self) -> Option<String> {
        self.host_clock.why_not_leading()
    }

    /// Waits for `pause`. A follower wakes early when the leader releases the lease.
    async fn rest(&self, pause: Duration) {
        let waited = match self.following {
            Some(_) => self.store.wait_for_handover(pause).await.is_ok(),
            None => false,
        };
        if !waited {
            self.clock.sleep(pause).await;
        }
    }

    /// Renews the lease if a renewal is due. Returns `false` if the lease is lost.
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

    /// Releases the lease so that a follower takes over at once. Also releases a lease that an abandoned attempt
    /// may have taken.
    pub(super) async fn release(&mut self) {
        self.publish(None);
        self.presence.is_gone();
        let release = tokio::time::timeout(RELEASE_TIMEOUT, self.store.release_lease());
        if let Ok(Ok(true)) = release.await {
            self.events.emit(&Event::LeaseReleased);
        }
    }
}

/// Shortens `pause` so that it ends on a whole second, if there is one in it. The delayed loop calls Redis then
/// too, and both calls share one round trip.
fn to_whole_second(pause: Duration, now: DateTime<Utc>) -> Duration {
    let over = now + pause;
    let over = Duration::from_nanos(over.timestamp_subsec_nanos().into());
    pause
        .checked_sub(over)
        .filter(|pause| !pause.is_zero())
        .unwrap_or(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_is_on_a_whole_second_if_one_comes_before_it_is_due() {
        let pause = |pause, now| {
            let now = DateTime::from_timestamp_millis(now).unwrap();
            to_whole_second(Duration::from_millis(pause), now).as_millis()
        };
        assert_eq!(pause(5_000, 1_300), 4_700);
        assert_eq!(pause(4_999, 1_001), 4_999);
        assert_eq!(pause(300, 1_300), 300);
        assert_eq!(pause(300, 1_900), 100);
        assert_eq!(pause(500, 1_000), 500);
    }
}

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
//! A host whose clock is too far off Redis' clock does not lead: it would enqueue too early, and leave a fence in
//! the future that silences the schedule. It gives the lease back and only looks at Redis' clock until its own
//! is right.
//!
//! A lock without an end has no living owner, for all peers set one: it is taken over once it has
//! stood unchanged for as long as a lease.
//!
//! Leadership saves work; the fence in `fire.lua` and the atomic `move.lua` make us correct
//! (docs/design.md, law 3).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    core::{
        schedule::Schedule,
        term::{Attempt, Term},
        time::duration,
    },
    engine::{
        health::{Health, HealthPart},
        outage::Outage,
        presence::Presence,
    },
    events::{Event, Events},
    store::{Lease, Role, Store, StoreError},
};

/// How often a follower looks at the lease; a leader that stops cleanly wakes it at once.
const LOOK: Duration = Duration::from_secs(1);

/// A clock further off Redis' than this is warned about.
const LARGEST_SKEW: TimeDelta = TimeDelta::seconds(1);

/// How long giving the lease back may take; it ends by itself if that fails.
const RELEASE_TIMEOUT: Duration = Duration::from_millis(250);

/// How right this host's clock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClockState {
    Right,
    /// Off by more than a second.
    Skewed,
    /// Off by more than a leader's clock may be.
    TooFarOff,
}

/// The state machine of one process.
pub(super) struct Leadership<S> {
    store: S,
    clock: Arc<dyn Clock>,
    lease: Duration,
    health: Health,
    events: Events,
    outage: Outage,
    term: Option<Term>,
    terms_so_far: u64,
    /// The last term, unless another scheduler may have led since.
    last_term: Option<Term>,
    following: Option<String>,
    /// Who holds a lock without an end, and since when we know.
    stuck: Option<(String, Instant)>,
    /// How far this host's clock was ahead of Redis' when they were last compared, at least.
    skew: Option<TimeDelta>,
    clock_state: ClockState,
    presence: Presence,
    /// One for each loop, told in this order: those who wait for the same channel are woken in an
    /// order that tokio draws, and a simulation must go the same way each time.
    published: Vec<watch::Sender<Option<Term>>>,
}

impl<S: Store> Leadership<S> {
    /// A follower that will publish its terms.
    pub(super) fn new(
        store: S,
        clock: Arc<dyn Clock>,
        lease: Duration,
        health: &Health,
        events: &Events,
        published: Vec<watch::Sender<Option<Term>>>,
    ) -> Self {
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
            skew: None,
            clock_state: ClockState::Right,
            presence,
            published,
        }
    }

    /// The same, of a process whose schedule changes.
    pub(super) fn with_schedule(self, schedule: watch::Receiver<Arc<Schedule>>) -> Self {
        let presence = self.presence.with_schedule(schedule);
        Self { presence, ..self }
    }

    /// Ticks until `stop`, then gives the lease back. `recheck_lease` wakes it early: a loop was told
    /// that the lease is lost.
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

    /// The term that this process holds, if it leads.
    pub(super) fn term(&self) -> Option<Term> {
        self.term
    }

    /// One try for the lease, with its errors told about. Returns when to try again.
    async fn tick(&mut self) -> Duration {
        let outcome = self.attempt().await;
        self.judge_clock();
        self.publish_snapshot();
        self.outage
            .note(outcome, self.clock.monotonic())
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
        if self.may_be_too_far_off() {
            let before = self.clock.now();
            let heartbeat = self.presence.due(self.role(), started);
            let is_said = heartbeat.is_some();
            let redis_clock = self.store.time(heartbeat).await?;
            if is_said {
                self.presence.sent(started);
            }
            self.skew = Some(skew(before, self.clock.now(), redis_clock));
            if self.is_too_far_off() {
                return Ok(LOOK);
            }
        }
        let (started, before) = (self.clock.monotonic(), self.clock.now());
        let stuck_holder = self.stuck_holder(started);
        let heartbeat = self.presence.due(self.role(), started);
        let is_said = heartbeat.is_some();
        let stuck_holder = stuck_holder.as_deref();
        let attempt = self.store.take_lease(self.lease, stuck_holder, heartbeat);
        let (lease, redis_clock) = attempt.await?;
        if is_said {
            self.presence.sent(started);
        }
        let skew = skew(before, self.clock.now(), redis_clock);
        self.skew = Some(skew);
        if self.is_too_far_off() {
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

    /// Whether this host's clock is too far off Redis' clock to lead, as far as is known.
    fn is_too_far_off(&self) -> bool {
        self.skew.is_some() && self.may_be_too_far_off()
    }

    /// The same; also before the first look at Redis' clock.
    fn may_be_too_far_off(&self) -> bool {
        let max = self.store.max_clock_skew();
        max.is_some_and(|max| self.skew.is_none_or(|skew| skew.abs() > max))
    }

    fn role(&self) -> Role {
        if self.term.is_some() {
            Role::Leading
        } else if self.is_too_far_off() {
            Role::ClockOff
        } else {
            Role::Following
        }
    }

    /// Makes way for a host whose clock is right.
    async fn abdicate(&mut self, lease: &Lease) {
        if self.term.is_some() {
            self.step_down("this host's clock is too far off Redis' clock");
        }
        self.last_term = None;
        // It waits for no handover, which would keep it from another follower.
        (self.following, self.stuck) = (None, None);
        if !matches!(lease, Lease::HeldBy { .. }) {
            self.release().await;
        }
    }

    /// Who holds a lock that has no end and has stood for as long as a lease.
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
        // One millisecond more, for Redis expires keys by its own clock.
        remaining.map_or(LOOK, |ttl| LOOK.min(ttl + Duration::from_millis(1)))
    }

    fn publish(&mut self, term: Option<Term>) {
        self.term = term;
        let number = |term: Option<Term>| term.map(|it| it.number());
        for published in &self.published {
            published.send_if_modified(|published| {
                // A mere renewal is no reason to wake.
                number(std::mem::replace(published, term)) != number(term)
            });
        }
    }

    fn publish_snapshot(&self) {
        self.health.publish(|snapshot| {
            snapshot.term = self.term;
            snapshot.leader.clone_from(&self.following);
            snapshot.skew = self.skew;
        });
    }

    fn step_down(&mut self, reason: &str) {
        self.publish(None);
        self.events.emit(&Event::LeaseLost { reason });
    }

    /// Reports when this host's clock leaves Redis' clock, and when it is right again.
    fn judge_clock(&mut self) {
        let skew = self.skew.unwrap_or_default();
        let state = if self.is_too_far_off() {
            ClockState::TooFarOff
        } else if skew.abs() > LARGEST_SKEW {
            ClockState::Skewed
        } else {
            ClockState::Right
        };
        if state != self.clock_state {
            self.events.emit(&match state {
                ClockState::Right => Event::ClockRight { skew },
                ClockState::Skewed => Event::ClockSkewed { skew },
                ClockState::TooFarOff => Event::ClockTooFarOff { skew },
            });
        }
        self.clock_state = state;
        let seconds = skew.as_seconds_f64();
        let problem = format!("this host's clock is {seconds:+.1} s off Redis' clock");
        let problem = match state {
            ClockState::Right => None,
            ClockState::Skewed => Some(problem),
            ClockState::TooFarOff => self.why_not_leading(),
        };
        self.health.set(HealthPart::Clock, problem);
    }

    /// Why this host must not lead, if its clock is too far off.
    pub(super) fn why_not_leading(&self) -> Option<String> {
        let (skew, max) = self.skew.zip(self.store.max_clock_skew())?;
        let (seconds, max) = (skew.as_seconds_f64(), duration::display(max));
        self.is_too_far_off().then(|| {
            format!(
                "this host's clock is {seconds:+.1} s off Redis' clock, and a leader's may be {max} off \
                 (--max-clock-skew): not leading until one of them is mended"
            )
        })
    }

    /// Waits for `pause`; a follower is woken when the leader stops.
    async fn rest(&self, pause: Duration) {
        let waited = match self.following {
            Some(_) => self.store.wait_for_handover(pause).await.is_ok(),
            None => false,
        };
        if !waited {
            self.clock.sleep(pause).await;
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
        self.publish(None);
        self.presence.is_gone();
        let release = tokio::time::timeout(RELEASE_TIMEOUT, self.store.release_lease());
        if let Ok(Ok(true)) = release.await {
            self.events.emit(&Event::LeaseReleased);
        }
    }
}

/// The pause from `now`, a little shorter so that it ends on a whole second if there is one in it: then
/// the delayed loop looks at Redis, too, and both are one round trip.
fn to_whole_second(pause: Duration, now: DateTime<Utc>) -> Duration {
    let over = now + pause;
    let over = Duration::from_nanos(over.timestamp_subsec_nanos().into());
    pause
        .checked_sub(over)
        .filter(|pause| !pause.is_zero())
        .unwrap_or(pause)
}

/// By how much this host's clock is ahead of Redis' for certain, given what it showed before and after
/// Redis looked at its own; less than zero: behind it. What the call's duration explains is no skew.
fn skew(before: DateTime<Utc>, after: DateTime<Utc>, redis: DateTime<Utc>) -> TimeDelta {
    if redis < before {
        before - redis
    } else if redis > after {
        after - redis
    } else {
        TimeDelta::zero()
    }
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

    #[test]
    fn skew_is_what_a_slow_call_does_not_explain() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let skew = |before, after, redis| skew(at(before), at(after), at(redis)).num_seconds();
        assert_eq!(skew(10, 12, 11), 0);
        assert_eq!(skew(10, 12, 7), 3);
        assert_eq!(skew(10, 12, 16), -4);
    }
}

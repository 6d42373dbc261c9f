//! How the scheduler is, and what a loop does about errors of the store: report the outage, and try again
//! a little later.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    core::excerpt::excerpt,
    events::{Event, Events},
    store::StoreError,
};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// An outage that lasts is reported again after this.
const REMINDER: Duration = Duration::from_secs(60);

/// What can be in trouble by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Leadership,
    Recurring,
    Delayed,
    /// Entries whose queue refuses their job.
    Entries,
    /// Entries whose fire is too early by Redis' clock.
    EarlyFires,
    /// Entries with a record in the future.
    Ahead,
    /// Records of entries that Redis has lost.
    Lost,
    /// Delayed jobs that are too early by Redis' clock.
    EarlyBuckets,
    /// Buckets that can't be moved.
    Buckets,
    /// Queues that refuse delayed jobs.
    Queues,
    /// What Ruby schedulers did.
    Stamps,
    /// Dynamic entries.
    Dynamic,
    /// The entries in force, for commands to know.
    Published,
    /// This host's clock.
    Clock,
    /// Reading the schedule anew.
    Schedule,
}

/// What is wrong now; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    problems: BTreeMap<Part, String>,
    /// How many records are in quarantine, if that is known.
    quarantined: Option<usize>,
    /// Which outage each loop is in.
    outages: BTreeMap<Part, String>,
    /// When each outage began, and when it was logged last.
    logged: BTreeMap<String, (Instant, Instant)>,
}

impl State {
    /// Forgets the outages that no loop is in any more.
    fn forget_ended(&mut self) {
        let outages = &self.outages;
        let lasts = |kind: &String| outages.values().any(|it| it == kind);
        self.logged.retain(|kind, _| lasts(kind));
    }
}

impl Health {
    /// Each problem in words; a problem that several parts have is there once. Empty if all is well.
    pub fn problems(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let state = self.lock();
        let problems = state.problems.values();
        problems.filter(|it| seen.insert(*it)).cloned().collect()
    }

    /// Records what is wrong with `part`, or that nothing is.
    pub(super) fn set(&self, part: Part, problem: Option<String>) {
        let problems = &mut self.lock().problems;
        match problem {
            Some(problem) => problems.insert(part, excerpt(&problem).into_owned()),
            None => problems.remove(&part),
        };
    }

    /// How many delayed items are in quarantine, as the leader knows.
    pub fn quarantined(&self) -> Option<usize> {
        self.lock().quarantined
    }

    /// Records how many delayed items are in quarantine.
    pub(super) fn set_quarantined(&self, number: Option<usize>) {
        self.lock().quarantined = number;
    }

    /// Records that the loop `part` is in the outage `kind`. Returns how long that lasts if it is to be
    /// reported: at its begin, whichever loop sees it first, and every minute.
    fn enter_outage(&self, part: Part, kind: String, now: Instant) -> Option<Duration> {
        let state = &mut *self.lock();
        state.outages.insert(part, kind.clone());
        state.forget_ended();
        let Some((began, last)) = state.logged.get_mut(&kind) else {
            state.logged.insert(kind, (now, now));
            return Some(Duration::ZERO);
        };
        if now.saturating_duration_since(*last) < REMINDER {
            return None;
        }
        *last = now;
        Some(now.saturating_duration_since(*began))
    }

    /// Records that the loop `part` is in no outage any more. Returns whether no loop is.
    fn leave_outage(&self, part: Part) -> bool {
        let state = &mut *self.lock();
        state.problems.remove(&part);
        state.outages.remove(&part);
        state.forget_ended();
        state.outages.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One loop's view of Redis. All loops share their health, so that an outage is reported once a minute, and its
/// end when the last of them is over it.
pub(super) struct Outage {
    health: Health,
    events: Events,
    part: Part,
    in_trouble: bool,
    failures: u32,
}

impl Outage {
    /// The view of the loop `part`.
    pub(super) fn of(part: Part, health: &Health, events: &Events) -> Self {
        Self {
            health: health.clone(),
            events: events.clone(),
            part,
            in_trouble: false,
            failures: 0,
        }
    }

    /// Records an outcome at `now`. Returns its value, or how long to wait before the next try.
    pub(super) fn note<T>(
        &mut self,
        outcome: Result<T, StoreError>,
        now: Instant,
    ) -> Result<T, Duration> {
        match outcome {
            Ok(value) => {
                self.end();
                Ok(value)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.report(&error, now);
                let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failures - 1);
                // Jitter, so that schedulers that lost Redis together don't come back together.
                Err(pause
                    .min(LONGEST_PAUSE)
                    .mul_f64(0.5 + fastrand::f64() / 2.0))
            }
        }
    }

    /// Reports the outage, unless a connection has just broken: the next connection may work.
    fn report(&mut self, error: &StoreError, now: Instant) {
        let text = error.to_string();
        if matches!(error, StoreError::Unavailable { dropped: true, .. }) && self.failures == 1 {
            self.events.emit(&Event::ConnectionLost { error: &text });
            return;
        }
        // Loops may see one outage in different ways: refused, reset, timed out.
        let kind = match error {
            StoreError::Corrupt { .. } | StoreError::Refused { .. } => text.clone(),
            _ => format!("{:?}", std::mem::discriminant(error)),
        };
        self.in_trouble = true;
        self.health.set(self.part, Some(text.clone()));
        if let Some(lasting) = self.health.enter_outage(self.part, kind, now) {
            let error = &text;
            self.events.emit(&Event::RedisLost { error, lasting });
        }
    }

    /// The loop reached Redis, or does not need it for now.
    pub(super) fn end(&mut self) {
        self.failures = 0;
        if std::mem::take(&mut self.in_trouble) && self.health.leave_outage(self.part) {
            self.events.emit(&Event::RedisBack);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    fn unavailable(reason: &str) -> Result<(), StoreError> {
        Err(StoreError::Unavailable {
            server: "here".into(),
            reason: reason.into(),
            dropped: false,
        })
    }

    #[test]
    fn pauses_grow_to_a_few_seconds_and_begin_again_after_a_success() {
        let now = SystemClock.monotonic();
        let mut outage = Outage::of(Part::Delayed, &Health::default(), &Events::default());
        let pauses: Vec<Duration> = (0..40)
            .map(|_| outage.note(unavailable("gone"), now).unwrap_err())
            .collect();
        assert!(pauses[0] <= FIRST_PAUSE, "{pauses:?}");
        for pause in &pauses[10..] {
            assert!(
                (LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(pause),
                "{pauses:?}"
            );
        }
        outage.note(Ok(()), now).unwrap();
        assert!(outage.note(unavailable("gone"), now).unwrap_err() <= FIRST_PAUSE);
    }

    #[test]
    fn health_is_bad_until_the_last_loop_is_over_it() {
        let now = SystemClock.monotonic();
        let (health, events) = (Health::default(), Events::default());
        let parts = [Part::Leadership, Part::Delayed];
        let mut loops = parts.map(|part| Outage::of(part, &health, &events));
        for outage in &mut loops {
            outage.note(unavailable("gone"), now).unwrap_err();
        }
        assert_eq!(health.problems(), ["Redis at here is unavailable: gone"]);
        loops[0].note(Ok(()), now).unwrap();
        assert_eq!(health.problems().len(), 1);
        loops[1].note(Ok(()), now).unwrap();
        assert!(health.problems().is_empty());
    }

    #[test]
    fn a_problem_of_several_parts_is_there_once() {
        let health = Health::default();
        for (part, problem) in [
            (Part::Leadership, "gone"),
            (Part::Recurring, "full"),
            (Part::Delayed, "gone"),
        ] {
            health.set(part, Some(problem.to_owned()));
        }
        assert_eq!(health.problems(), ["gone", "full"]);
    }

    #[test]
    fn an_outage_is_logged_at_its_begin_and_every_minute() {
        let (health, start) = (Health::default(), SystemClock.monotonic());
        let enter = |part, kind: &str, seconds| {
            let now = start + Duration::from_secs(seconds);
            let lasting = health.enter_outage(part, kind.to_owned(), now);
            lasting.map(|it| it.as_secs())
        };
        assert_eq!(enter(Part::Delayed, "unavailable", 0), Some(0));
        assert_eq!(enter(Part::Recurring, "unavailable", 1), None);
        assert_eq!(enter(Part::Leadership, "wrong password", 2), Some(0));
        assert_eq!(enter(Part::Delayed, "unavailable", 59), None);
        assert_eq!(enter(Part::Recurring, "unavailable", 60), Some(60));
        assert_eq!(enter(Part::Delayed, "unavailable", 61), None);
        assert!(!health.leave_outage(Part::Delayed));
        assert_eq!(enter(Part::Recurring, "unavailable", 121), Some(121));
        assert!(!health.leave_outage(Part::Recurring));
        assert!(health.leave_outage(Part::Leadership));
        assert_eq!(enter(Part::Recurring, "unavailable", 122), Some(0));
    }
}

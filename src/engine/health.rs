//! Current problems of this process, grouped by what they affect.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{
    core::excerpt::excerpt,
    engine::snapshot::{Snapshot, Snapshots},
};

/// An outage that lasts is logged again after this time.
const REMINDER: Duration = Duration::from_secs(60);

/// Something that can have a problem of its own. Each part has at most one problem at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HealthPart {
    Leadership,
    Recurring,
    Delayed,
    /// Entries whose queue rejects their job.
    Entries,
    /// Entries whose fire is too early by Redis's clock.
    EarlyFires,
    /// Entries with a recorded time in the future.
    Ahead,
    /// Records of entries that Redis has lost.
    Lost,
    /// Delayed jobs that are too early by Redis's clock.
    EarlyBuckets,
    /// Buckets that cannot be moved.
    Buckets,
    /// Queues that reject delayed jobs.
    Queues,
    /// Timestamps that Ruby schedulers wrote.
    Stamps,
    /// Dynamic entries.
    Dynamic,
    /// Publishing the entries in force for commands.
    Published,
    /// This host's clock.
    Clock,
    /// Reloading the schedule files.
    Schedule,
    /// Recording events in Redis.
    Journal,
}

/// Current problems and latest snapshot of this process. Clones share the same state.
#[derive(Debug, Clone, Default)]
pub struct Health {
    state: Arc<Mutex<State>>,
    snapshots: Snapshots,
}

#[derive(Debug, Default)]
struct State {
    problems: BTreeMap<HealthPart, String>,
    /// The kind of outage that each loop is in.
    outages: BTreeMap<HealthPart, String>,
    /// For each kind of outage, when it began and when it was last logged.
    logged: BTreeMap<String, (Instant, Instant)>,
}

impl State {
    /// Removes the outages that no loop is in any more.
    fn forget_ended(&mut self) {
        let outages = &self.outages;
        let lasts = |kind: &String| outages.values().any(|it| it == kind);
        self.logged.retain(|kind, _| lasts(kind));
    }
}

impl Health {
    /// Returns each problem as text, without duplicates. Empty if there are none.
    pub fn problems(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let state = self.lock();
        let problems = state.problems.values();
        problems.filter(|it| seen.insert(*it)).cloned().collect()
    }

    /// Sets the problem of `part`. `None` clears it.
    pub(super) fn set(&self, part: HealthPart, problem: Option<String>) {
        let problem = problem.map(|it| excerpt(&it).into_owned());
        let before = {
            let problems = &mut self.lock().problems;
            match problem.clone() {
                Some(problem) => problems.insert(part, problem),
                None => problems.remove(&part),
            }
        };
        if before != problem {
            self.publish_problems();
        }
    }

    fn publish_problems(&self) {
        let problems = self.problems();
        self.publish(|snapshot| snapshot.problems = problems);
    }

    /// Returns a receiver of the snapshot, which is updated on every change.
    pub fn snapshots(&self) -> watch::Receiver<Snapshot> {
        self.snapshots.subscribe()
    }

    /// Changes the snapshot and notifies its receivers.
    pub(super) fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        self.snapshots.update(change);
    }

    /// Records that the loop `part` is in the outage `kind`. Returns how long the outage has lasted if it must be
    /// logged now: when the first loop enters it, and every minute while it lasts.
    pub(super) fn enter_outage(
        &self,
        part: HealthPart,
        kind: String,
        now: Instant,
    ) -> Option<Duration> {
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

    /// Records that the loop `part` is no longer in an outage. Returns whether no loop is in one.
    pub(super) fn leave_outage(&self, part: HealthPart) -> bool {
        let is_last = {
            let state = &mut *self.lock();
            state.problems.remove(&part);
            state.outages.remove(&part);
            state.forget_ended();
            state.outages.is_empty()
        };
        self.publish_problems();
        is_last
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn a_problem_of_several_parts_is_listed_once() {
        let health = Health::default();
        for (part, problem) in [
            (HealthPart::Leadership, "gone"),
            (HealthPart::Recurring, "full"),
            (HealthPart::Delayed, "gone"),
        ] {
            health.set(part, Some(problem.to_owned()));
        }
        assert_eq!(health.problems(), ["gone", "full"]);
    }

    #[test]
    fn an_outage_is_logged_when_it_begins_and_every_minute() {
        let (health, start) = (Health::default(), SystemClock.monotonic());
        let enter = |part, kind: &str, seconds| {
            let now = start + Duration::from_secs(seconds);
            let lasting = health.enter_outage(part, kind.to_owned(), now);
            lasting.map(|it| it.as_secs())
        };
        assert_eq!(enter(HealthPart::Delayed, "unavailable", 0), Some(0));
        assert_eq!(enter(HealthPart::Recurring, "unavailable", 1), None);
        assert_eq!(enter(HealthPart::Leadership, "wrong password", 2), Some(0));
        assert_eq!(enter(HealthPart::Delayed, "unavailable", 59), None);
        assert_eq!(enter(HealthPart::Recurring, "unavailable", 60), Some(60));
        assert_eq!(enter(HealthPart::Delayed, "unavailable", 61), None);
        assert!(!health.leave_outage(HealthPart::Delayed));
        assert_eq!(enter(HealthPart::Recurring, "unavailable", 121), Some(121));
        assert!(!health.leave_outage(HealthPart::Recurring));
        assert!(health.leave_outage(HealthPart::Leadership));
        assert_eq!(enter(HealthPart::Recurring, "unavailable", 122), Some(0));
    }
}

//! What this process says of itself in Redis, and how often.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::{
    core::schedule::Schedule,
    engine::health::Health,
    store::{Heartbeat, Role, Scheduler},
};

/// How often a process says that it is there, if nothing changes.
const INTERVAL: Duration = Duration::from_secs(60);

/// For how many intervals, or leases, Redis keeps that.
const STAYS: u32 = 2;

/// What this process says of itself.
pub(super) struct Presence {
    now: Scheduler,
    /// What Redis has, and since when.
    sent: Option<(Scheduler, Instant)>,
    stays: Duration,
    health: Health,
    schedule: Option<watch::Receiver<Arc<Schedule>>>,
}

impl Presence {
    /// The presence of the process `holder`, `hostname:pid`, which has been there since `since` and asks for leases of
    /// this length.
    pub(super) fn new(
        holder: &str,
        since: DateTime<Utc>,
        lease: Duration,
        health: &Health,
    ) -> Self {
        let (host, pid) = holder.rsplit_once(':').unwrap_or((holder, ""));
        Self {
            now: Scheduler {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                host: host.to_owned(),
                pid: pid.parse().unwrap_or_default(),
                role: Role::Following,
                since,
                schedule: String::new(),
                http: None,
                problems: vec![],
            },
            sent: None,
            stays: STAYS * INTERVAL.max(lease),
            health: health.clone(),
            schedule: None,
        }
    }

    /// The same, of a process whose schedule changes.
    pub(super) fn with_schedule(self, schedule: watch::Receiver<Arc<Schedule>>) -> Self {
        let schedule = Some(schedule);
        Self { schedule, ..self }
    }

    /// What is to be said at `now`, if there is anything new, or if it is time to say it again.
    pub(super) fn due(&mut self, role: Role, now: Instant) -> Option<Heartbeat<'_>> {
        self.now.role = role;
        self.now.problems = self.health.problems();
        if let Some(schedule) = &self.schedule {
            schedule
                .borrow()
                .digest()
                .clone_into(&mut self.now.schedule);
        }
        let known = self.sent.as_ref().is_some_and(|(sent, at)| {
            *sent == self.now && now.saturating_duration_since(*at) < INTERVAL
        });
        (!known).then_some(Heartbeat {
            scheduler: &self.now,
            stays: self.stays,
        })
    }

    /// Takes note that Redis has nothing of this process any more.
    pub(super) fn is_gone(&mut self) {
        self.sent = None;
    }

    /// Takes note at `now` that Redis has what was due.
    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = Some((self.now.clone(), now));
    }
}

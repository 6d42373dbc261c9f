//! The heartbeat of this process in Redis: what it contains and when to send it.

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

/// How often the heartbeat is sent if nothing changes.
const INTERVAL: Duration = Duration::from_secs(60);

/// TTL of the heartbeat in Redis, in intervals or leases, whichever is longer.
const STAYS: u32 = 2;

/// The heartbeat of this process.
pub(super) struct Presence {
    now: Scheduler,
    /// The heartbeat that Redis has, and when it was sent.
    sent: Option<(Scheduler, Instant)>,
    stays: Duration,
    health: Health,
    schedule: Option<watch::Receiver<Arc<Schedule>>>,
}

impl Presence {
    /// Returns the heartbeat of the process `holder` (`hostname:pid`), which started at `since` and takes leases of
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

    /// Adds the schedule, whose digest the heartbeat contains.
    pub(super) fn with_schedule(self, schedule: watch::Receiver<Arc<Schedule>>) -> Self {
        let schedule = Some(schedule);
        Self { schedule, ..self }
    }

    /// Returns the heartbeat at `now` if it has changed, or if it is time to send it again.
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

    /// Records that Redis no longer has the heartbeat.
    pub(super) fn is_gone(&mut self) {
        self.sent = None;
    }

    /// Records that the heartbeat was sent at `now`.
    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = Some((self.now.clone(), now));
    }
}

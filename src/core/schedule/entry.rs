//! An entry of the schedule: its name, when it fires, what it enqueues, and what happens to the
//! fires that it missed, or that would pile up.

use chrono::{DateTime, TimeDelta, Utc};

use crate::core::{
    job::Job,
    schedule::overlap::Guard,
    time::{timing::Timing, zone::Zone},
};

/// One named line of the schedule, fully validated.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Unique in its schedule.
    pub name: String,
    /// When it fires.
    pub timing: Timing,
    /// The zone in which people think of its fires: that of its expression, else its own, that of its file, or the
    /// default.
    pub zone: Zone,
    /// What it enqueues.
    pub job: Job,
    /// What happens to missed fires.
    pub catch_up: CatchUp,
    /// What keeps its jobs from piling up.
    pub guard: Guard,
    /// What it is for, in the user's words.
    pub description: Option<String>,
}

impl Entry {
    /// When the fire for `fire_time` is due.
    pub fn due_at(&self, fire_time: DateTime<Utc>) -> DateTime<Utc> {
        self.timing.due_at(&self.name, fire_time)
    }
}

/// What happens to the fires that were missed in a gap: a restart, a failover, Redis away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatchUp {
    /// Which of the missed ones fire.
    pub policy: CatchUpPolicy,
    /// Only fire times at most this long ago are caught up with.
    pub window: TimeDelta,
}

impl Default for CatchUp {
    /// The newest missed fire, if it was due in the last five minutes.
    fn default() -> Self {
        Self {
            policy: CatchUpPolicy::Latest,
            window: TimeDelta::minutes(5),
        }
    }
}

/// Which missed fires are caught up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUpPolicy {
    /// The newest one.
    Latest,
    /// Each of them, oldest first.
    All,
    /// None.
    None,
}

//! An entry of the schedule: its name, when it fires, what it enqueues, and what happens to the
//! fires that it missed.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::{cron::Cron, every::Every, job::Job, zone::Zone};

/// One named line of the schedule, fully validated.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Unique in its schedule.
    pub name: String,
    /// When it fires.
    pub timing: Timing,
    /// What it enqueues.
    pub job: Job,
    /// What happens to missed fires.
    pub catch_up: CatchUp,
    /// What it is for, in the user's words.
    pub description: Option<String>,
}

/// When an entry fires. Displayed, it is unique: two that read the same fire at the same instants.
#[derive(Debug, Clone, PartialEq)]
pub enum Timing {
    /// By a cron expression over the civil time of `zone`.
    Cron {
        /// The expression.
        cron: Cron,
        /// The zone in force: the expression's own, else the entry's, else the default.
        zone: Zone,
    },
    /// At an interval.
    Every(Every),
    /// Only when someone fires it by hand.
    Manual,
}

impl Timing {
    /// The first fire time strictly later than `after`, if there is any; whole seconds.
    ///
    /// Intervals are counted from `anchor`; cron expressions don't look at it.
    pub fn next_after(&self, anchor: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Cron { cron, zone } => cron.next_after(after, *zone),
            Self::Every(every) => every.next_after(anchor, after),
            Self::Manual => None,
        }
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron { cron, zone } => write!(f, "cron {cron} in {zone}"),
            Self::Every(every) => every.fmt(f),
            Self::Manual => f.write_str("manual"),
        }
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

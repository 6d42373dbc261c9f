//! An entry of the schedule: its name, timing and job, its catch-up policy, and its limits against pile-ups.

use std::{fmt, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::core::{
    job::Job,
    schedule::overlap::Guard,
    time::{timing::Timing, zone::Zone},
};

/// One named, validated entry of the schedule.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name, unique in its schedule.
    pub name: String,
    /// When the entry fires.
    pub timing: Timing,
    /// The zone in which fire times are shown: that of the expression, or else of the entry, the file, or the default.
    pub zone: Zone,
    /// The job that the entry enqueues.
    pub job: Job,
    /// What happens to missed fires.
    pub catch_up: CatchUp,
    /// When fires are skipped so that jobs do not pile up.
    pub guard: Guard,
    /// The user's description of the entry.
    pub description: Option<String>,
    /// Where the entry is defined.
    pub origin: Origin,
}

/// Compares everything except the origin: a new comment above an entry moves it to another line, but does not change
/// the entry.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            name,
            timing,
            zone,
            job,
            catch_up,
            guard,
            description,
            origin: _,
        } = self;
        *name == other.name
            && *timing == other.timing
            && *zone == other.zone
            && *job == other.job
            && *catch_up == other.catch_up
            && *guard == other.guard
            && *description == other.description
    }
}

impl Entry {
    /// Returns the instant at which the fire for `fire_time` is due: the fire time plus its jitter.
    pub fn due_at(&self, fire_time: DateTime<Utc>) -> DateTime<Utc> {
        self.timing.due_at(&self.name, fire_time)
    }
}

/// Where an entry is defined. Displayed as `schedules/prod.toml:12` or `dynamic`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A schedule file.
    File {
        /// The path of the file, as the user gave it. All entries of a file share the allocation.
        file: Arc<str>,
        /// The line of the entry's name, counted from 1; 0 if it is not known.
        line: u32,
    },
    /// Redis, where an app set the entry.
    Dynamic,
}

/// Parses the displayed text. A text without a line number is a file whose line is not known.
impl From<&str> for Origin {
    fn from(text: &str) -> Self {
        let (file, line) = match text.rsplit_once(':') {
            Some((file, line)) => (file, line.parse().ok()),
            None if text == "dynamic" => return Self::Dynamic,
            None => (text, None),
        };
        let file = if line.is_some() { file } else { text };
        Self::File {
            file: file.into(),
            line: line.unwrap_or_default(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Dynamic => f.write_str("dynamic"),
        }
    }
}

/// What happens to missed fires, for example after a restart, a failover or an outage of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatchUp {
    /// Which missed fires are caught up.
    pub policy: CatchUpPolicy,
    /// The maximum age of a fire time that is caught up.
    pub window: TimeDelta,
}

impl Default for CatchUp {
    /// Catches up the newest missed fire if it was due in the last five minutes.
    fn default() -> Self {
        Self {
            policy: CatchUpPolicy::Latest,
            window: TimeDelta::minutes(5),
        }
    }
}

/// Which missed fires are caught up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUpPolicy {
    /// The newest missed fire.
    Latest,
    /// Every missed fire, oldest first.
    All,
    /// No missed fire.
    None,
}

impl CatchUpPolicy {
    /// Returns the policy's name in a schedule.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::All => "all",
            Self::None => "none",
        }
    }
}

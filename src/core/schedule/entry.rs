//! An entry of the schedule: its name, when it fires, what it enqueues, and what happens to the
//! fires that it missed, or that would pile up.

use std::{fmt, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::core::{
    job::Job,
    schedule::overlap::Guard,
    time::{timing::Timing, zone::Zone},
};

/// One named line of the schedule, fully validated.
#[derive(Debug, Clone)]
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
    /// Where it comes from.
    pub origin: Origin,
}

/// Entries are equal if they do the same and say the same, wherever they come from: a comment above an entry moves
/// it to another line, and changes nothing of it.
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
    /// When the fire for `fire_time` is due.
    pub fn due_at(&self, fire_time: DateTime<Utc>) -> DateTime<Utc> {
        self.timing.due_at(&self.name, fire_time)
    }
}

/// Where an entry comes from. Displayed, it is `schedules/prod.toml:12`, or `dynamic`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A schedule file.
    File {
        /// Its path, as it was given. All entries of a file share it.
        file: Arc<str>,
        /// The line in which its name is, from 1.
        line: u32,
    },
    /// An app, which set it in Redis.
    Dynamic,
}

/// Reads what is displayed. A text without a line number is a file of which the line is not known, 0.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUpPolicy {
    /// The newest one.
    Latest,
    /// Each of them, oldest first.
    All,
    /// None.
    None,
}

impl CatchUpPolicy {
    /// The policy as a schedule names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::All => "all",
            Self::None => "none",
        }
    }
}

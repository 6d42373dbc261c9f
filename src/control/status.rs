//! The status of the installation: who is the leader, what waits, and what is wrong.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::{
    control::{
        entries::Known,
        error::{ControlError, readable},
    },
    store::{Console, LeaderLock, Role, Scheduler},
};

/// The status of the installation.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The leader's `hostname:pid`, this program's or a Ruby scheduler's.
    pub leader: Option<Leader>,
    /// The processes of this program.
    pub schedulers: Vec<SchedulerStatus>,
    /// The server.
    pub redis: RedisStatus,
    /// The entries in force.
    pub entries: EntryCounts,
    /// The delayed jobs.
    pub delayed: DelayedStatus,
    /// The quarantine.
    pub quarantine: QuarantineStatus,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// The process that holds the leader's lock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Leader {
    /// `hostname:pid`.
    pub holder: String,
    /// How long the lease lasts if it is not renewed, in seconds; `None`: the lock has no TTL.
    pub lease_left_s: Option<f64>,
}

/// A process of this program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchedulerStatus {
    /// `hostname:pid`.
    pub holder: String,
    /// Its version.
    pub version: String,
    /// What it does.
    pub role: Role,
    /// When it started. Whole seconds, UTC.
    pub since: DateTime<Utc>,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// The server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RedisStatus {
    /// Its address, without a password.
    pub address: String,
    /// The namespace.
    pub namespace: String,
    /// Its version; `None`: the Redis user may not ask.
    pub version: Option<String>,
    /// How far this host's clock is ahead of the server's, in seconds.
    pub skew_s: f64,
}

/// How many entries are in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryCounts {
    /// All of them.
    pub total: usize,
    /// Those that are paused.
    pub paused: usize,
    /// The next fire of an entry that is not paused.
    pub next: Option<NextFire>,
}

/// A fire to come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NextFire {
    /// When. Whole seconds, UTC.
    pub at: DateTime<Utc>,
    /// The entry's name.
    pub entry: String,
}

/// The delayed jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DelayedStatus {
    /// How many wait, those that are due among them.
    pub waiting: usize,
    /// How many are due.
    pub due: usize,
    /// When the oldest is due, or was. Whole seconds, UTC.
    pub oldest_due_at: Option<DateTime<Utc>>,
}

/// The quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QuarantineStatus {
    /// How many records it has.
    pub size: usize,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What.
    pub text: String,
    /// The arguments of the command that shows more, or mends it.
    pub command: Option<String>,
}

/// Returns the status of the installation at `now`, by this host's clock.
///
/// # Errors
/// [`ControlError::Store`].
pub async fn status(console: &Console, now: DateTime<Utc>) -> Result<Status, ControlError> {
    let server_time = console.server_time().await?;
    let mut broken = vec![];
    let lock = readable(console.leader().await, &mut broken)?;
    let schedulers = readable(console.schedulers().await, &mut broken)?;
    let known = Known::read_in_parts(console, &mut broken).await?;
    let counts = readable(console.delayed_counts(now).await, &mut broken)?;
    let oldest_due_at = readable(console.oldest_due().await, &mut broken)?;
    let quarantine = QuarantineStatus {
        size: readable(console.quarantine_size().await, &mut broken)?,
    };
    let version = console.server_info("server", "redis_version").await?;
    let mut status = Status {
        leader: lock.map(Leader::from),
        schedulers: schedulers.into_iter().map(SchedulerStatus::from).collect(),
        redis: RedisStatus {
            address: console.server().to_owned(),
            namespace: console.namespace().to_owned(),
            version,
            skew_s: (now - server_time).as_seconds_f64(),
        },
        entries: known.counts(now),
        delayed: DelayedStatus {
            waiting: counts.waiting,
            due: counts.due,
            oldest_due_at,
        },
        quarantine,
        problems: vec![],
    };
    status.problems = broken.into_iter().map(Problem::of).collect();
    problems(&mut status, &known, now);
    Ok(status)
}

impl Problem {
    fn of(text: String) -> Self {
        let command = None;
        Self { text, command }
    }
}

impl Known {
    /// When the fire is due, with its jitter.
    fn due_at(&self, fire: &NextFire) -> Option<DateTime<Utc>> {
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| entry.name == fire.entry)?;
        Some(entry.due_at(fire.at))
    }

    fn counts(&self, now: DateTime<Utc>) -> EntryCounts {
        let is_paused = |name: &str| self.pauses.of(name, now).is_some();
        let next = self.entries.iter().filter(|entry| !is_paused(&entry.name));
        let next = next.filter_map(|entry| {
            Some(NextFire {
                at: self.next(entry, now)?,
                entry: entry.name.clone(),
            })
        });
        EntryCounts {
            total: self.entries.len(),
            paused: (self.entries.iter())
                .filter(|entry| is_paused(&entry.name))
                .count(),
            next: next.min(),
        }
    }
}

/// A delayed job or a fire that is later than this waits for something.
const LATE: TimeDelta = TimeDelta::seconds(10);

fn problems(status: &mut Status, known: &Known, now: DateTime<Utc>) {
    let mut problems = std::mem::take(&mut status.problems);
    let mut add = |text: String, command: Option<&str>| {
        problems.push(Problem {
            text,
            command: command.map(str::to_owned),
        });
    };
    match &status.leader {
        None if status.schedulers.is_empty() => add("no scheduler is running".to_owned(), None),
        None => add("no scheduler is the leader".to_owned(), Some("events")),
        Some(leader) if leader.lease_left_s.is_none() => {
            let text = format!("the lock of the leader {} has no TTL", leader.holder);
            add(text, Some("events"));
        }
        Some(_) => {}
    }
    for scheduler in &status.schedulers {
        for problem in &scheduler.problems {
            add(format!("{}: {problem}", scheduler.holder), None);
        }
    }
    for unreadable in &known.unreadable {
        add(unreadable.to_string(), None);
    }
    if let Some(next) = &status.entries.next
        && known.due_at(next).is_some_and(|due| now - due > LATE)
    {
        let text = format!("{} has not fired since {}", next.entry, next.at);
        add(text, Some(&format!("schedule show {}", next.entry)));
    }
    if let Some(oldest) = status.delayed.oldest_due_at
        && status.delayed.due > 0
        && now - oldest > LATE
    {
        let text = format!("{} delayed jobs are due", status.delayed.due);
        add(text, Some("events"));
    }
    if status.quarantine.size > 0 {
        let plural = if status.quarantine.size == 1 { "" } else { "s" };
        let text = format!("{} job{plural} in quarantine", status.quarantine.size);
        add(text, Some("quarantine list"));
    }
    status.problems = problems;
}

impl From<LeaderLock> for Leader {
    fn from(lock: LeaderLock) -> Self {
        Self {
            holder: lock.holder,
            lease_left_s: lock.lease_left.map(|left| left.as_secs_f64()),
        }
    }
}

impl From<(String, Scheduler)> for SchedulerStatus {
    fn from((holder, scheduler): (String, Scheduler)) -> Self {
        Self {
            holder,
            version: scheduler.version,
            role: scheduler.role,
            since: scheduler.since,
            problems: scheduler.problems,
        }
    }
}

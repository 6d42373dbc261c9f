//! The entries in force: when each fired last, when it fires next, and whether it is paused.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::{
    control::error::{ControlError, readable},
    core::{
        firing::{decide::next_to_fire, history::Progress, outcome::Outcome},
        schedule::entry::Entry,
        suggestion::nearest,
        time::zone::Zone,
    },
    store::{Console, FireRecord, Pause, Pauses, Records, UnreadableEntry},
};

/// Which entries are listed.
#[derive(Debug, Clone, Default)]
pub struct EntryFilter {
    /// Only entries of this queue.
    pub queue: Option<String>,
    /// Only paused entries.
    pub paused: bool,
}

/// The entries in force.
#[derive(Debug, Clone, Serialize)]
pub struct EntryList {
    /// The entries that the filter matches, by name.
    pub entries: Vec<EntryStatus>,
    /// What is wrong with published entries that cannot be read.
    pub problems: Vec<String>,
}

/// An entry in force.
#[derive(Debug, Clone, Serialize)]
pub struct EntryStatus {
    /// Its name.
    pub name: String,
    /// Name of the Ruby class.
    pub class: String,
    /// Name of the queue, without namespace.
    pub queue: String,
    /// Its timing, for people.
    pub timing: String,
    /// The time zone in which people read its times.
    pub timezone: String,
    /// Where it comes from: `file:line`, or `dynamic`.
    pub source: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its pause, or that of all entries, if it is paused.
    pub paused: Option<PauseStatus>,
    /// The last fire in its history.
    pub last: Option<LastFire>,
    /// Its next fire, as if it were not paused. Whole seconds, UTC.
    pub next: Option<DateTime<Utc>>,
    /// The same zone, for surfaces that show local times.
    #[serde(skip)]
    pub zone: Zone,
}

/// A pause that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PauseStatus {
    /// Who paused it.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// Until when; `None`: until somebody resumes it.
    pub until: Option<DateTime<Utc>>,
}

/// The last fire of an entry, or the last of several with the same outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LastFire {
    /// Its fire time. Whole seconds, UTC.
    pub fire_time: DateTime<Utc>,
    /// What became of it.
    pub outcome: &'static str,
    /// How long after it was due its job was enqueued, in seconds, if it was.
    pub lateness_s: Option<f64>,
}

/// Lists the entries in force that `filter` matches.
///
/// # Errors
/// [`ControlError::Store`].
pub async fn list(
    console: &Console,
    filter: &EntryFilter,
    now: DateTime<Utc>,
) -> Result<EntryList, ControlError> {
    let known = Known::read(console).await?;
    let is_wanted = |entry: &&Entry| {
        let of_queue = filter
            .queue
            .as_deref()
            .is_none_or(|it| it == entry.job.queue());
        of_queue && (!filter.paused || known.pauses.of(&entry.name, now).is_some())
    };
    let wanted: Vec<&Entry> = known.entries.iter().filter(is_wanted).collect();
    let names: Vec<String> = wanted.iter().map(|entry| entry.name.clone()).collect();
    let last = console.last_records(&names).await?;
    let status = |entry: &&Entry| known.status(entry, last.get(&entry.name), now);
    Ok(EntryList {
        entries: wanted.iter().map(status).collect(),
        problems: known.unreadable.iter().map(ToString::to_string).collect(),
    })
}

/// Returns one entry in force.
///
/// # Errors
/// [`ControlError::NoEntry`], and those of Redis.
pub async fn show(
    console: &Console,
    name: &str,
    now: DateTime<Utc>,
) -> Result<EntryStatus, ControlError> {
    let entry = find(console, name).await?;
    let names = [entry.name.clone()];
    let known = Known {
        records: console.records(Some(&names)).await?,
        pauses: console.pauses().await?,
        entries: vec![],
        unreadable: vec![],
    };
    let last = console.last_records(&names).await?;
    Ok(known.status(&entry, last.get(name), now))
}

/// Finds the entry in force of that name.
pub(super) async fn find(console: &Console, name: &str) -> Result<Entry, ControlError> {
    if let Some(entry) = console.entry(name).await? {
        return Ok(entry?);
    }
    let entries = console.entries().await?.entries;
    let names = entries.keys().map(String::as_str);
    Err(ControlError::NoEntry {
        name: name.to_owned(),
        nearest: nearest(name, names).map(str::to_owned),
    })
}

/// What Redis knows of the entries in force.
pub(super) struct Known {
    pub(super) entries: Vec<Entry>,
    pub(super) unreadable: Vec<UnreadableEntry>,
    pub(super) records: Records,
    pub(super) pauses: Pauses,
}

impl Known {
    pub(super) async fn read(console: &Console) -> Result<Self, ControlError> {
        let found = console.entries().await?;
        Ok(Self {
            entries: found.entries.into_values().collect(),
            unreadable: found.unreadable,
            records: console.records(None).await?,
            pauses: console.pauses().await?,
        })
    }

    /// Reads the same; what cannot be read is empty, and `broken` says why.
    pub(super) async fn read_in_parts(
        console: &Console,
        broken: &mut Vec<String>,
    ) -> Result<Self, ControlError> {
        let found = readable(console.entries().await, broken)?;
        Ok(Self {
            entries: found.entries.into_values().collect(),
            unreadable: found.unreadable,
            records: readable(console.records(None).await, broken)?,
            pauses: readable(console.pauses().await, broken)?,
        })
    }

    /// Returns the fire time that `entry` fires next, be it due or still to come.
    pub(super) fn next(&self, entry: &Entry, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let first_seen = self.records.first_seen(entry);
        let history = self.records.history(entry, first_seen, now);
        next_to_fire(entry, Progress::resume(&entry.timing, history), now)
    }

    fn status(&self, entry: &Entry, last: Option<&FireRecord>, now: DateTime<Utc>) -> EntryStatus {
        EntryStatus {
            name: entry.name.clone(),
            class: entry.job.class().to_owned(),
            queue: entry.job.queue().to_owned(),
            timing: entry.timing.to_string(),
            timezone: entry.zone.to_string(),
            source: entry.origin.to_string(),
            description: entry.description.clone(),
            paused: self.pauses.of(&entry.name, now).map(PauseStatus::from),
            last: last.map(LastFire::from),
            next: self.next(entry, now),
            zone: entry.zone,
        }
    }
}

impl From<&Pause> for PauseStatus {
    fn from(pause: &Pause) -> Self {
        Self {
            actor: pause.actor.clone(),
            reason: pause.reason.clone(),
            since: pause.since,
            until: pause.until,
        }
    }
}

impl From<&FireRecord> for LastFire {
    fn from(record: &FireRecord) -> Self {
        Self {
            fire_time: record.last,
            outcome: Outcome::as_str(record.outcome),
            lateness_s: record.lateness.map(TimeDelta::as_seconds_f64),
        }
    }
}

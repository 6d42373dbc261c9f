//! The entries in force, as the leader published them.

use std::{borrow::Cow, collections::BTreeMap, fmt::Display};

use chrono::{DateTime, TimeDelta, Utc};
use redis::Cmd;
use serde_json::Number;

use crate::{
    core::{
        job::Job,
        schedule::{
            entry::{CatchUp, Entry, Origin},
            overlap::{Guard, Overlap},
        },
        time::{
            cron::Cron,
            every::Every,
            timing::{Moment, Recurrence, Timing},
            zone::Zone,
        },
    },
    store::{console::Console, error::StoreError, port::entries::PublishedEntry, scripts::trigger},
};

/// Number of entries to read with one call.
const PAGE: usize = 500;

/// A published entry that this program cannot read. Another version or another program may have written it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the published entry `{name}`: {problem}")]
pub struct UnreadableEntry {
    /// Name of the entry.
    pub name: String,
    /// Why it cannot be read.
    pub problem: String,
}

/// The entries in force.
#[derive(Debug, Clone, Default)]
pub struct Entries {
    /// The entries, by name.
    pub entries: BTreeMap<String, Entry>,
    /// Entries that cannot be read.
    pub unreadable: Vec<UnreadableEntry>,
}

impl Console {
    /// Reads the entries in force.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entries(&self) -> Result<Entries, StoreError> {
        let (key, mut found) = (self.keys.entries(), Entries::default());
        let visit = |name: Vec<u8>, json: Vec<u8>| {
            let name = String::from_utf8_lossy(&name).into_owned();
            match entry(&name, &json) {
                Ok(entry) => drop(found.entries.insert(name, entry)),
                Err(unreadable) => found.unreadable.push(unreadable),
            }
        };
        self.connection.scan_hash(&key, PAGE, visit).await?;
        Ok(found)
    }

    /// Reads one entry. Returns `None` if no entry of that name is in force.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entry(
        &self,
        name: &str,
    ) -> Result<Option<Result<Entry, UnreadableEntry>>, StoreError> {
        let key = self.keys.entries();
        let get = Cmd::hget(&key, name);
        let json: Option<Vec<u8>> = self.connection.command(&get, &key).await?;
        Ok(json.map(|json| entry(name, &json)))
    }
}

impl Console {
    /// Enqueues the job of `entry` now and records it in the entry's history, in one atomic step.
    ///
    /// The fence does not change, so neither does the entry's next fire.
    ///
    /// # Errors
    /// [`StoreError`]. After [`StoreError::Unavailable`] it may have been done.
    pub async fn trigger(&self, entry: &Entry, now: DateTime<Utc>) -> Result<(), StoreError> {
        let call = trigger::call(&self.keys, entry, now);
        let key = self.keys.queue(entry.job.queue());
        let _done: u8 = self.connection.script(&call, &key).await?;
        Ok(())
    }
}

/// Reads the JSON of a published entry.
fn entry(name: &str, json: &[u8]) -> Result<Entry, UnreadableEntry> {
    let unreadable = |problem: &dyn Display| UnreadableEntry {
        name: name.to_owned(),
        problem: problem.to_string(),
    };
    let published: PublishedEntry<'_> =
        serde_json::from_slice(json).map_err(|error| unreadable(&error))?;
    let zone: Zone = published
        .timezone
        .parse()
        .map_err(|error| unreadable(&error))?;
    let PublishedEntry {
        class,
        queue,
        payload,
        ..
    } = &published;
    Ok(Entry {
        name: name.to_owned(),
        timing: timing(&published, zone).map_err(|problem| unreadable(&problem))?,
        zone,
        job: Job::of_template(name, class, queue, payload),
        catch_up: CatchUp {
            policy: published.catch_up,
            window: length(&published.catch_up_window_s),
        },
        guard: Guard {
            overlap: published.overlap.unwrap_or(Overlap::Allow),
            max_queue_length: published.max_queue_length,
        },
        description: published.description.map(Cow::into_owned),
        origin: Origin::from(&*published.source),
    })
}

fn timing(published: &PublishedEntry<'_>, zone: Zone) -> Result<Timing, String> {
    let recurrence = if let Some(cron) = &published.cron {
        let cron = Cron::parse(cron, "").map_err(|error| error.to_string())?;
        let zone = cron.zone().unwrap_or(zone);
        Recurrence::Cron { cron, zone }
    } else if let Some(interval) = &published.every_s {
        let every = Every::new(length(interval)).map_err(|error| error.to_string())?;
        Recurrence::Every(every)
    } else if let Some(once) = moment(published.at.as_deref(), published.in_s.as_ref())? {
        Recurrence::Once(once)
    } else {
        Recurrence::Manual
    };
    let first = moment(published.first_at.as_deref(), published.first_in_s.as_ref())?;
    let last = moment(published.last_at.as_deref(), published.last_in_s.as_ref())?;
    let starts_at = published.starts_at.as_deref().map(instant).transpose()?;
    let ends_at = published.ends_at.as_deref().map(instant).transpose()?;
    let mut timing = Timing::of(recurrence);
    timing.bound(|bounds| {
        bounds.first = first;
        bounds.last = last;
        bounds.starts_at = starts_at;
        bounds.ends_at = ends_at;
        bounds.times = published.times;
        bounds.jitter = published
            .jitter_s
            .as_ref()
            .map_or_else(TimeDelta::zero, length);
    });
    Ok(timing)
}

fn moment(at: Option<&str>, after: Option<&Number>) -> Result<Option<Moment>, String> {
    match (at, after) {
        (Some(at), _) => Ok(Some(Moment::At(instant(at)?))),
        (None, Some(after)) => Ok(Some(Moment::In(length(after)))),
        (None, None) => Ok(None),
    }
}

fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let at = DateTime::parse_from_rfc3339(text);
    at.map(|at| at.to_utc())
        .map_err(|error| format!("`{text}`: {error}"))
}

/// Converts seconds, which may have a fraction. Returns zero for a number that no entry can have.
fn length(seconds: &Number) -> TimeDelta {
    let whole = seconds.as_i64().and_then(TimeDelta::try_seconds);
    let fraction = || {
        let length = std::time::Duration::try_from_secs_f64(seconds.as_f64()?).ok()?;
        TimeDelta::from_std(length).ok()
    };
    whole.or_else(fraction).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Context, Source, parse};

    #[test]
    fn a_published_entry_reads_back_as_the_entry_that_it_is_of() {
        for lines in [
            "",
            "every = '90m'\nstarts_at = 2027-01-01\nargs = [1]",
            "at = '2030-01-01T00:00:00Z'",
            "in = '5m'\ntimezone = 'Europe/Paris'",
            "cron = '15~45 9 * * mon%2 Europe/Paris'",
            "cron = '*/5 2 * * mon-fri'\ntimezone = '+05:30'\nclass = 'A::B'\nargs = [1, 'é']\n\
             include_metadata = true\ncatch_up = 'all'\ncatch_up_window = '1.5s'\n\
             overlap = 'skip_if_running'\nmax_queue_length = 7\nfirst_in = '5m'\n\
             last_at = 2030-01-01T00:00:00Z\nstarts_at = 2027-01-01\nends_at = 2031-01-01\n\
             times = 3\njitter = '30s'\ndescription = 'Says it all'",
        ] {
            let text = format!("[schedule.a]\nqueue = 'q'\n{lines}\n");
            let sources = [Source::new("s.toml", text)];
            let schedule = parse(&sources, &Context::default()).unwrap().schedule;
            let original = schedule.get("a").unwrap();
            let read = entry("a", PublishedEntry::json(original).as_bytes()).unwrap();
            assert_eq!(read.timing, original.timing, "{lines}");
            assert_eq!(read.zone, original.zone);
            assert_eq!(
                (read.catch_up, read.guard),
                (original.catch_up, original.guard)
            );
            assert_eq!(read.description, original.description);
            assert_eq!(read.origin, original.origin);
        }
    }
}

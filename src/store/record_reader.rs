//! Reads the records of entries: when each was first seen, when it last fired, when it left the schedule.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use redis::{Cmd, RedisResult};

use crate::{
    core::time::instant::is_sensible,
    store::{
        connection::Connection,
        console::history::FireRecord,
        error::StoreError,
        keys::Keys,
        port::records::{Away, Records},
        scripts::fire::STAMP,
    },
};

/// Number of fields of a hash to read with one call.
const SCAN: usize = 1_000;

/// Number of histories to read with one call.
const HISTORIES: usize = 200;

/// Maximum number of ignored records to remember, so that the log can name them.
const IGNORED: usize = 100;

/// Records that no scheduler can have written. They are treated as missing.
#[derive(Default)]
struct Ignored(Vec<String>);

impl Ignored {
    fn push(&mut self, key: &str, name: &[u8]) {
        if self.0.len() < IGNORED {
            self.0
                .push(format!("{key} {}", String::from_utf8_lossy(name)));
        }
    }
}

/// Reads records over a connection.
pub(super) struct RecordReader<'a> {
    pub(super) connection: &'a Connection,
    pub(super) keys: &'a Keys,
}

impl RecordReader<'_> {
    /// Calls `visit` for each field of a hash and its value, or only for the fields `names`, if they exist.
    ///
    /// Adds a field to `ignored` if `visit` returns `None`, or if its name or value is not UTF-8.
    async fn for_each(
        &self,
        key: &str,
        names: Option<&[String]>,
        ignored: &mut Ignored,
        mut visit: impl FnMut(&str, &str) -> Option<()>,
    ) -> Result<(), StoreError> {
        let mut visit = |name: &[u8], value: &[u8]| {
            let text = str::from_utf8(name).ok().zip(str::from_utf8(value).ok());
            if text.and_then(|(name, value)| visit(name, value)).is_none() {
                ignored.push(key, name);
            }
        };
        if let Some(names) = names {
            for names in names.chunks(SCAN) {
                let get = Cmd::hmget(key, names);
                let values: Vec<Option<Vec<u8>>> = self.connection.command(&get, key).await?;
                for (name, value) in names.iter().zip(values) {
                    if let Some(value) = value {
                        visit(name.as_bytes(), &value);
                    }
                }
            }
            return Ok(());
        }
        self.connection
            .scan_hash(key, SCAN, |name: Vec<u8>, value: Vec<u8>| {
                visit(&name, &value);
            })
            .await
    }

    /// Returns the number of fields of a hash. Reserving memory for all at once avoids the gaps that a growing map
    /// leaves.
    async fn length(&self, key: &str) -> Result<usize, StoreError> {
        self.connection.command(&Cmd::hlen(key), key).await
    }

    /// Adds the times at which Ruby schedulers enqueued entries later than we did, and lost last fire times.
    ///
    /// `last_enqueued_at` has the time of a Ruby scheduler if it is later than our stamp. If the fence has lost
    /// the field of an entry, its stamp still has the last fire time that was enqueued.
    async fn read_stamps(
        &self,
        names: Option<&[String]>,
        records: &mut Records,
        ignored: &mut Ignored,
    ) -> Result<(), StoreError> {
        let elsewhere = &mut records.enqueued_elsewhere;
        self.for_each(
            &self.keys.last_enqueued_at(),
            names,
            ignored,
            |name, stamp| {
                let at = DateTime::parse_from_str(stamp, STAMP).ok()?.to_utc();
                elsewhere.insert(name.to_owned(), is_sensible(at).then_some(at)?);
                Some(())
            },
        )
        .await?;
        let (fired, lost) = (&records.fired, &mut records.lost);
        let our_prefix = self.keys.stamp_prefix();
        self.for_each(&self.keys.stamps(), names, ignored, |name, stamp| {
            let (at, rest) = stamp.split_at(stamp.find(' ').unwrap_or(stamp.len()));
            let ours = sensible(at)?;
            if elsewhere.get(name).is_some_and(|at| *at <= ours) {
                elsewhere.remove(name);
            }
            // Early versions wrote stamps without a fire time.
            if let Some((prefix, fire_time)) = rest.rsplit_once(' ')
                && prefix == our_prefix
                && !fired.contains_key(name)
            {
                lost.insert(name.to_owned(), sensible(fire_time)?);
            }
            Some(())
        })
        .await
    }

    /// Reads the records of all entries, or of those with the given names.
    pub(super) async fn records(&self, names: Option<&[String]>) -> Result<Records, StoreError> {
        let (mut records, mut ignored) = (Records::default(), Ignored::default());
        if names.is_none() {
            let (seen, fired) = (self.keys.seen(), self.keys.fired());
            records.seen.reserve(self.length(&seen).await?);
            records.fired.reserve(self.length(&fired).await?);
        }
        let mut timings = HashSet::<Arc<str>>::new();
        self.for_each(&self.keys.seen(), names, &mut ignored, |name, value| {
            let (at, timing) = value.split_once(' ')?;
            let at = sensible(at)?;
            let known = timings.get(timing).cloned();
            let timing = known.unwrap_or_else(|| timing.into());
            timings.insert(Arc::clone(&timing));
            records.seen.insert(name.to_owned(), (at, timing));
            Some(())
        })
        .await?;
        self.for_each(&self.keys.fired(), names, &mut ignored, |name, at| {
            records.fired.insert(name.to_owned(), sensible(at)?);
            Some(())
        })
        .await?;
        self.for_each(&self.keys.fires(), names, &mut ignored, |name, fires| {
            let fires = digits(fires)?.try_into().ok()?;
            records.fires.insert(name.to_owned(), fires);
            Some(())
        })
        .await?;
        self.for_each(&self.keys.away(), names, &mut ignored, |name, value| {
            records.away.insert(name.to_owned(), away(value)?);
            Some(())
        })
        .await?;
        let read = self.read_stamps(names, &mut records, &mut ignored).await;
        match read {
            // Other programs write these keys too. If one has the wrong type, entries must still fire.
            Err(error @ StoreError::Corrupt { .. }) => {
                records.enqueued_elsewhere.clear();
                records.unreadable = Some(error);
            }
            read => read?,
        }
        records.ignored = ignored.0;
        Ok(records)
    }

    /// Reads the last fire time of each entry that was enqueued.
    pub(super) async fn last_enqueued(&self) -> Result<HashMap<String, DateTime<Utc>>, StoreError> {
        let (mut enqueued, mut ignored) = (HashMap::new(), Ignored::default());
        self.for_each(&self.keys.stamps(), None, &mut ignored, |name, stamp| {
            let at = sensible(stamp.split(' ').next_back()?)?;
            enqueued.insert(name.to_owned(), at);
            Some(())
        })
        .await?;
        Ok(enqueued)
    }

    /// Returns the newest record in the history of each of these entries, by name. Leaves out entries without one.
    pub(super) async fn last_records(
        &self,
        names: &[String],
    ) -> Result<HashMap<String, FireRecord>, StoreError> {
        let mut records = HashMap::new();
        for names in names.chunks(HISTORIES) {
            let mut newest = redis::pipe();
            for name in names {
                newest.lrange(self.keys.history(name), 0, 0);
            }
            // A key of another type counts as an empty history.
            let newest: Vec<RedisResult<Vec<String>>> = self
                .connection
                .pipeline(newest.ignore_errors(), &self.keys.history("*"))
                .await?;
            for (name, newest) in names.iter().zip(newest) {
                let newest = newest.ok().and_then(|it| it.into_iter().next());
                let record = newest.and_then(|it| it.parse::<FireRecord>().ok());
                records.extend(record.map(|it| (name.clone(), it)));
            }
        }
        Ok(records)
    }
}

/// Reads a value of the hash `away`.
fn away(text: &str) -> Option<Away> {
    let (since, until) = match text.split_once(' ') {
        Some((since, until)) => (since, Some(sensible(until)?)),
        None => (text, None),
    };
    let since = sensible(since)?;
    Some(Away { since, until })
}

/// Returns the instant of Unix seconds in decimal digits, if a scheduler can have written them.
fn sensible(seconds: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::from_timestamp(digits(seconds)?, 0)?;
    is_sensible(at).then_some(at)
}

/// Returns the number in a record, if a scheduler can have written it: ten digits at most, as `fire.lua` reads it.
fn digits(text: &str) -> Option<i64> {
    let is_one = text.len() <= 10 && text.bytes().all(|it| it.is_ascii_digit());
    is_one.then(|| text.parse().ok()).flatten()
}

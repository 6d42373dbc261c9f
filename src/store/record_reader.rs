//! Reads the records of entries: when each was first seen, what it fired, when it left the schedule.

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

/// How many fields of a hash are read at a time.
const SCAN: usize = 1_000;

/// How many histories are read at a time.
const HISTORIES: usize = 200;

/// How many ignored records are remembered, to name them.
const IGNORED: usize = 100;

/// The records that no scheduler can have written: they are as if they were not there.
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
    /// Calls `visit` for each field of a hash and its value, or for those of the fields `names` that are there.
    /// If it returns `None`, or if they are no text, the field is `ignored`.
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

    /// How many fields a hash has: growing step by step, what is made of it would leave gaps behind.
    async fn length(&self, key: &str) -> Result<usize, StoreError> {
        self.connection.command(&Cmd::hlen(key), key).await
    }

    /// Adds what others enqueued last, since we did: what they wrote is not what we stamped. And the last fires
    /// of which only the stamp is left.
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
            // The first versions stamped no fire time.
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

    /// Reads all that is known of entries, or of those of the given names.
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
            // Other programs write there, too; what they broke must not stop our fires.
            Err(error @ StoreError::Corrupt { .. }) => {
                records.enqueued_elsewhere.clear();
                records.unreadable = Some(error);
            }
            read => read?,
        }
        records.ignored = ignored.0;
        Ok(records)
    }

    /// Reads which fire of each entry was enqueued last.
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

    /// Returns the newest record in the history of each of these entries, by name. An entry without a history has
    /// none.
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
            // A history of another type has none.
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

/// When an entry was out of the schedule, as Redis has it.
fn away(text: &str) -> Option<Away> {
    let (since, until) = match text.split_once(' ') {
        Some((since, until)) => (since, Some(sensible(until)?)),
        None => (text, None),
    };
    let since = sensible(since)?;
    Some(Away { since, until })
}

/// The instant of a number of seconds, if a scheduler can have written it.
fn sensible(seconds: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::from_timestamp(digits(seconds)?, 0)?;
    is_sensible(at).then_some(at)
}

/// The number in a record, if it is one that a scheduler can have written: digits only, as `fire.lua` reads it.
fn digits(text: &str) -> Option<i64> {
    let is_one = text.len() <= 10 && text.bytes().all(|it| it.is_ascii_digit());
    is_one.then(|| text.parse().ok()).flatten()
}

//! The records of entries: when each was first seen, what it fired, when it left the schedule.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use super::{
    super::{Away, RecordChange, Records, StoreError, fires::STAMP, scripts},
    RedisStore, instant,
};

/// How many fields of a hash are read at a time.
const SCAN: usize = 1_000;

impl RedisStore {
    /// Calls `visit` for each field of a hash and its value, or for those of the fields `names` that are there.
    /// Its return value is ignored. Read in parts: other clients wait while Redis reads, and we hold only
    /// what is made of it.
    async fn for_each(
        &self,
        key: &str,
        names: Option<&[String]>,
        mut visit: impl FnMut(String, String) -> Option<()>,
    ) -> Result<(), StoreError> {
        if let Some(names) = names {
            for names in names.chunks(SCAN) {
                let mut get = redis::pipe();
                get.cmd("HMGET").arg(key).arg(names);
                let (values,): (Vec<Option<String>>,) = self.connection.pipeline(&get, key).await?;
                for (name, value) in names.iter().zip(values) {
                    value.and_then(|value| visit(name.clone(), value));
                }
            }
            return Ok(());
        }
        self.scan(key, SCAN, visit).await
    }

    /// How many fields a hash has: growing step by step, what is made of it would leave gaps behind.
    async fn length(&self, key: &str) -> Result<usize, StoreError> {
        let mut length = redis::pipe();
        length.hlen(key);
        let (length,) = self.connection.pipeline(&length, key).await?;
        Ok(length)
    }

    /// What others enqueued last, since we did: what they wrote is not what we stamped.
    async fn enqueued_elsewhere(
        &self,
        names: Option<&[String]>,
    ) -> Result<HashMap<String, DateTime<Utc>>, StoreError> {
        let mut elsewhere = HashMap::new();
        self.for_each(&self.keys.last_enqueued_at(), names, |name, stamp| {
            let at = DateTime::parse_from_str(&stamp, STAMP).ok()?;
            elsewhere.insert(name, at.to_utc());
            Some(())
        })
        .await?;
        self.for_each(&self.keys.stamps(), names, |name, stamp| {
            let ours = instant(stamp.split(' ').next()?)?;
            if elsewhere.get(&name).is_some_and(|at| *at <= ours) {
                elsewhere.remove(&name);
            }
            Some(())
        })
        .await?;
        Ok(elsewhere)
    }

    /// Reads all that is known of entries, or of those of the given names.
    pub(super) async fn read_records(
        &self,
        names: Option<&[String]>,
    ) -> Result<Records, StoreError> {
        // What nobody of us can have written is as if it were not there.
        let mut records = Records::default();
        if names.is_none() {
            let (seen, fired) = (self.keys.seen(), self.keys.fired());
            records.seen.reserve(self.length(&seen).await?);
            records.fired.reserve(self.length(&fired).await?);
        }
        let mut timings = HashSet::<Arc<str>>::new();
        self.for_each(&self.keys.seen(), names, |name, value| {
            let (at, timing) = value.split_once(' ')?;
            let at = instant(at)?;
            let known = timings.get(timing).cloned();
            let timing = known.unwrap_or_else(|| timing.into());
            timings.insert(Arc::clone(&timing));
            records.seen.insert(name, (at, timing));
            Some(())
        })
        .await?;
        self.for_each(&self.keys.fired(), names, |name, at| {
            records.fired.insert(name, instant(&at)?);
            Some(())
        })
        .await?;
        self.for_each(&self.keys.fires(), names, |name, fires| {
            records.fires.insert(name, fires.parse().ok()?);
            Some(())
        })
        .await?;
        self.for_each(&self.keys.away(), names, |name, value| {
            records.away.insert(name, away(&value)?);
            Some(())
        })
        .await?;
        let enqueued = self.enqueued_elsewhere(names).await;
        match enqueued {
            // Other programs write there, too; what they broke must not stop our fires.
            Err(error @ StoreError::Corrupt { .. }) => records.unreadable = Some(error),
            enqueued => records.enqueued_elsewhere = enqueued?,
        }
        Ok(records)
    }

    /// Reads which fire of each entry was enqueued last.
    pub(super) async fn read_last_enqueued(
        &self,
    ) -> Result<HashMap<String, DateTime<Utc>>, StoreError> {
        let mut enqueued = HashMap::new();
        self.for_each(&self.keys.stamps(), None, |name, stamp| {
            enqueued.insert(name, instant(stamp.split(' ').next_back()?)?);
            Some(())
        })
        .await?;
        Ok(enqueued)
    }

    /// `seen.lua`.
    pub(super) async fn write_records(
        &self,
        changes: &[RecordChange],
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut call = scripts::SEEN.prepare_invoke();
        call.key(self.keys.lock())
            .key(self.keys.seen())
            .key(self.keys.fires())
            .key(self.keys.away());
        call.arg(&self.identity.holder);
        let seen = |at: DateTime<Utc>, timing: &str| format!("{} {timing}", at.timestamp());
        for change in changes {
            match change {
                RecordChange::First { name, timing } => {
                    call.arg("first").arg(name).arg(seen(now, timing));
                }
                RecordChange::Reworded {
                    name,
                    first_seen,
                    old,
                    new,
                } => {
                    call.arg("seen").arg(name);
                    call.arg(seen(*first_seen, old)).arg(seen(*first_seen, new));
                }
                RecordChange::Left { name, was } => {
                    let was = was.map_or_else(String::new, away_text);
                    call.arg("away").arg(name).arg(was).arg(now.timestamp());
                }
                RecordChange::Returned { name, since } => {
                    let (left, until) = (since.timestamp(), now.timestamp());
                    call.arg("away").arg(name).arg(left);
                    call.arg(format!("{left} {until}"));
                }
            }
        }
        let recorded: bool = self.connection.script(&call, &self.keys.seen()).await?;
        Ok(self.unless_lost(recorded.then_some(())).await.is_some())
    }

    /// `forget.lua`.
    pub(super) async fn remove_records(
        &self,
        entries: &[(String, DateTime<Utc>)],
    ) -> Result<Option<Vec<String>>, StoreError> {
        let mut call = scripts::FORGET.prepare_invoke();
        call.key(self.keys.lock())
            .key(self.keys.away())
            .key(self.keys.seen())
            .key(self.keys.fired())
            .key(self.keys.fires())
            .key(self.keys.stamps())
            .key(self.keys.last_enqueued_at());
        call.arg(&self.identity.holder);
        for (name, since) in entries {
            call.arg(name).arg(since.timestamp());
        }
        let forgotten = self.connection.script(&call, &self.keys.away()).await?;
        Ok(self.unless_lost(forgotten).await)
    }
}

/// When an entry was out of the schedule, as Redis has it.
fn away(text: &str) -> Option<Away> {
    let (since, until) = match text.split_once(' ') {
        Some((since, until)) => (since, Some(instant(until)?)),
        None => (text, None),
    };
    let since = instant(since)?;
    Some(Away { since, until })
}

fn away_text(Away { since, until }: Away) -> String {
    let since = since.timestamp();
    until.map_or_else(
        || since.to_string(),
        |until| format!("{since} {}", until.timestamp()),
    )
}

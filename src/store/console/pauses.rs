//! Pauses of entries.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use redis::Cmd;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::{
    console::{Console, transaction},
    error::StoreError,
};

/// The field that pauses all entries.
const ALL: &str = "*";

/// The pauses that are recorded, whether they are over or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pauses {
    /// The pause of all entries.
    pub all: Option<Pause>,
    /// The pauses of single entries, by name.
    pub entries: BTreeMap<String, Pause>,
}

impl Pauses {
    /// Returns the pause that holds for the entry `name` at `now`: its own or that of all entries, the one
    /// with the later end.
    pub fn of(&self, name: &str, now: DateTime<Utc>) -> Option<&Pause> {
        let own = self.entries.get(name).filter(|pause| pause.lasts(now));
        let all = self.all.as_ref().filter(|pause| pause.lasts(now));
        // As in `fire.lua`: no end is later than any.
        let end = |pause: &&Pause| pause.until.unwrap_or(DateTime::<Utc>::MAX_UTC);
        own.into_iter().chain(all).max_by_key(end)
    }
}

/// What Redis stores about a pause.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pause {
    /// Who paused the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the pause began. Whole seconds.
    #[serde(with = "ts_seconds_option", skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// End of the pause: fires due at this time or later are not paused. Whole seconds.
    #[serde(with = "ts_seconds_option", skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl Pause {
    /// Whether the pause is not over at `now`.
    pub fn lasts(&self, now: DateTime<Utc>) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Reads a pause as `fire.lua` does: without a number in `until`, it has no end, whatever else is in it.
    fn read(json: &[u8]) -> Self {
        let fields: Value = serde_json::from_slice(json).unwrap_or_default();
        let text = |name: &str| fields[name].as_str().map(str::to_owned);
        #[expect(clippy::cast_possible_truncation, reason = "from_timestamp checks it")]
        let time = |name: &str| {
            let seconds = fields[name].as_f64()?.ceil();
            DateTime::from_timestamp(seconds as i64, 0)
        };
        Self {
            actor: text("actor"),
            reason: text("reason"),
            since: time("since"),
            until: time("until"),
        }
    }
}

impl Console {
    /// Reads all pauses. A pause that cannot be read is one without an end, as `fire.lua` takes it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pauses(&self) -> Result<Pauses, StoreError> {
        let key = self.keys.paused();
        let fields: BTreeMap<Vec<u8>, Vec<u8>> =
            self.connection.command(&Cmd::hgetall(&key), &key).await?;
        let read = |(name, json): (Vec<u8>, Vec<u8>)| {
            (
                String::from_utf8_lossy(&name).into_owned(),
                Pause::read(&json),
            )
        };
        let mut entries: BTreeMap<String, Pause> = fields.into_iter().map(read).collect();
        let all = entries.remove(ALL);
        Ok(Pauses { all, entries })
    }

    /// Pauses an entry, or all entries if `None`, replacing an existing pause. Paused fires are not caught up
    /// later.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn pause(&self, entry: Option<&str>, pause: &Pause) -> Result<(), StoreError> {
        let key = self.keys.paused();
        let mut set = transaction();
        // Cannot fail: it has no maps whose keys are not strings.
        let json = serde_json::to_string(pause).unwrap_or_default();
        set.hset(&key, entry.unwrap_or(ALL), json);
        self.execute(set, &key).await
    }

    /// Ends the pause of an entry, or the pause of all entries if `None`. It is no error if there is none.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn resume(&self, entry: Option<&str>) -> Result<(), StoreError> {
        let key = self.keys.paused();
        let mut remove = transaction();
        remove.hdel(&key, entry.unwrap_or(ALL));
        self.execute(remove, &key).await
    }
}

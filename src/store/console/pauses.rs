//! Pauses of entries.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use redis::Cmd;
use serde::{Deserialize, Serialize};

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
    /// Returns the pause that holds for the entry `name` at `now`: its own, or that of all entries.
    pub fn of(&self, name: &str, now: DateTime<Utc>) -> Option<&Pause> {
        let lasts = |pause: &&Pause| pause.until.is_none_or(|until| now < until);
        let own = self.entries.get(name).filter(lasts);
        own.or_else(|| self.all.as_ref().filter(lasts))
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

impl Console {
    /// Reads all pauses. A pause that cannot be read is one without an end, as `fire.lua` takes it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pauses(&self) -> Result<Pauses, StoreError> {
        let key = self.keys.paused();
        let fields: BTreeMap<String, Vec<u8>> =
            self.connection.command(&Cmd::hgetall(&key), &key).await?;
        let read = |(name, json): (String, Vec<u8>)| {
            let pause = serde_json::from_slice(&json).unwrap_or_default();
            (name, pause)
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

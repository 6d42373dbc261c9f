//! Which entries are paused.

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use serde::{Deserialize, Serialize};

use crate::store::{
    console::{Console, transaction},
    error::StoreError,
};

/// The name that stands for all entries.
const ALL: &str = "*";

/// What is said of a pause.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pause {
    /// Who paused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when. Whole seconds.
    #[serde(with = "ts_seconds_option", skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Its end: fires due then or later are not paused. Whole seconds.
    #[serde(with = "ts_seconds_option", skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl Console {
    /// Pauses an entry, or all (`None`), in place of the pause that there is. Fires that are due meanwhile are not
    /// caught up later.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn pause(&self, entry: Option<&str>, pause: &Pause) -> Result<(), StoreError> {
        let key = self.keys.paused();
        let mut set = transaction();
        // It has no map whose keys are not texts, which is all that could fail.
        let json = serde_json::to_string(pause).unwrap_or_default();
        set.hset(&key, entry.unwrap_or(ALL), json);
        self.execute(set, &key).await
    }

    /// Ends the pause of an entry, or that of all (`None`). It is no error if there is none.
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

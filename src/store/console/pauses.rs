//! Pauses of entries.

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use serde::{Deserialize, Serialize};

use crate::store::{
    console::{Console, transaction},
    error::StoreError,
};

/// The field that pauses all entries.
const ALL: &str = "*";

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

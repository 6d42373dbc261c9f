//! Events of schedulers and actions of people, as Redis stores them.

use chrono::{DateTime, Utc, serde::ts_milliseconds};
use serde::{Deserialize, Serialize};

use crate::store::{
    console::{Console, transaction},
    error::StoreError,
};

/// Maximum number of events that Redis keeps.
pub(in crate::store) const EVENTS: isize = 1_000;

/// An event, or an action of a person. docs/protocol.md describes its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When it happened, by the clock of the reporting process. Milliseconds.
    #[serde(with = "ts_milliseconds")]
    pub at: DateTime<Utc>,
    /// The person who acted, or the `hostname:pid` of the scheduler.
    pub actor: String,
    /// What happened, such as `took_lease`.
    pub verb: String,
    /// What the action was applied to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Why it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many things it was applied to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
}

impl Console {
    /// Adds an event, which is the newest then.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn note_event(&self, event: &EventRecord) -> Result<(), StoreError> {
        let key = self.keys.events();
        let mut add = transaction();
        // It has no map whose keys are not texts, which is all that could fail.
        let json = serde_json::to_string(event).unwrap_or_default();
        add.lpush(&key, json).ltrim(&key, 0, EVENTS - 1);
        self.execute(add, &key).await
    }

    /// Returns the newest events, newest first, `limit` at most. Leaves out texts that are not events.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events(&self, limit: usize) -> Result<Vec<EventRecord>, StoreError> {
        let texts = self.newest(&self.keys.events(), limit).await?;
        let records = texts.iter().map(|text| serde_json::from_slice(text));
        Ok(records.filter_map(Result::ok).collect())
    }
}

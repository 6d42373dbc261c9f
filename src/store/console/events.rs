//! What happened to the scheduler, and what people did, as Redis remembers it.

use chrono::{DateTime, Utc, serde::ts_milliseconds};
use serde::{Deserialize, Serialize};

use crate::store::{
    console::{Console, transaction},
    error::StoreError,
};

/// How many events Redis keeps.
pub(in crate::store) const EVENTS: isize = 1_000;

/// One thing that happened, or that someone did. Its form in JSON is described in docs/protocol.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When, by the clock of who reports it. Milliseconds.
    #[serde(with = "ts_milliseconds")]
    pub at: DateTime<Utc>,
    /// Who did it, or to whom it happened: a person, or the `hostname:pid` of a scheduler.
    pub actor: String,
    /// What happened, such as `took_lease`.
    pub verb: String,
    /// What it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// To how many.
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

    /// The newest events, at most `limit` of them, newest first. Texts that are no events are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events(&self, limit: usize) -> Result<Vec<EventRecord>, StoreError> {
        let texts = self.newest(&self.keys.events(), limit).await?;
        let records = texts.iter().map(|text| serde_json::from_slice(text));
        Ok(records.filter_map(Result::ok).collect())
    }
}

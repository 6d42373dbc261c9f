//! The processes of the scheduler that are there.

use chrono::{DateTime, Utc, serde::ts_seconds};
use redis::Cmd;
use serde::{Deserialize, Serialize};

use crate::store::{console::Console, error::StoreError};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It leads.
    Leading,
    /// It waits for the leader to go.
    Following,
    /// It may not lead: its host's clock is too far off Redis' clock.
    ClockOff,
}

/// What a process says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduler {
    /// Its version.
    pub version: String,
    /// Its host's name.
    pub host: String,
    /// The number of its process.
    pub pid: u32,
    /// What it does, as of its last sign.
    pub role: Role,
    /// When it started, by its own clock. Whole seconds, UTC.
    #[serde(with = "ts_seconds")]
    pub since: DateTime<Utc>,
    /// What identifies the texts of its schedule files; of two that read the same it is the same.
    pub schedule: String,
    /// Where its HTTP server listens, if it has one.
    pub http: Option<String>,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

impl Console {
    /// The processes that are there, by the name that they have in the leader's lock, `hostname:pid`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn schedulers(&self) -> Result<Vec<(String, Scheduler)>, StoreError> {
        let key = self.keys.schedulers();
        let mut holders: Vec<String> = self.connection.command(&Cmd::hkeys(&key), &key).await?;
        if holders.is_empty() {
            return Ok(vec![]);
        }
        holders.sort_unstable();
        let keys: Vec<_> = holders.iter().map(|it| self.keys.scheduler(it)).collect();
        let texts: Vec<Option<String>> = self.connection.command(&Cmd::mget(&keys), &key).await?;
        let there = holders.into_iter().zip(texts);
        let read = |text: Option<String>| serde_json::from_str(&text?).ok();
        Ok(there
            .filter_map(|(holder, text)| Some((holder, read(text)?)))
            .collect())
    }
}

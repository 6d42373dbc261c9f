//! The running processes of the scheduler.

use chrono::{DateTime, Utc, serde::ts_seconds};
use redis::Cmd;
use serde::{Deserialize, Serialize};

use crate::store::{console::Console, error::StoreError};

/// The role of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The process is the leader.
    Leading,
    /// The process waits to take over.
    Following,
    /// The process must not lead, because its host's clock is too far off Redis' clock.
    ClockOff,
}

/// The status that a process publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduler {
    /// Version of the program.
    pub version: String,
    /// Host name.
    pub host: String,
    /// Process ID.
    pub pid: u32,
    /// Role, as of the last heartbeat.
    pub role: Role,
    /// When the process started, by its own clock. Whole seconds, UTC.
    #[serde(with = "ts_seconds")]
    pub since: DateTime<Utc>,
    /// Digest of the schedule files. Processes that read the same texts have the same digest.
    pub schedule: String,
    /// Address of its HTTP server, if it has one.
    pub http: Option<String>,
    /// Problems of the process.
    pub problems: Vec<String>,
}

impl Console {
    /// Returns the running processes with their names in the leader's lock, `hostname:pid`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn schedulers(&self) -> Result<Vec<(String, Scheduler)>, StoreError> {
        let key = self.keys.schedulers();
        let holders: Vec<Vec<u8>> = self.connection.command(&Cmd::hkeys(&key), &key).await?;
        let mut holders: Vec<String> = (holders.iter())
            .map(|it| String::from_utf8_lossy(it).into_owned())
            .collect();
        if holders.is_empty() {
            return Ok(vec![]);
        }
        holders.sort_unstable();
        let keys: Vec<_> = holders.iter().map(|it| self.keys.scheduler(it)).collect();
        let texts: Vec<Option<Vec<u8>>> = self.connection.command(&Cmd::mget(&keys), &key).await?;
        let there = holders.into_iter().zip(texts);
        let read = |text: Option<Vec<u8>>| serde_json::from_slice(&text?).ok();
        Ok(there
            .filter_map(|(holder, text)| Some((holder, read(text)?)))
            .collect())
    }
}

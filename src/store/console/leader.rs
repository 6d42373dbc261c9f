//! The leader's lock, and the Redis server.

use std::time::Duration;

use chrono::{DateTime, Utc};
use redis::{Cmd, Value};

use crate::store::{console::Console, error::StoreError};

/// The leader's lock, as it is in Redis now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderLock {
    /// The leader's `hostname:pid`.
    pub holder: String,
    /// Time until the lock expires; `None`: it has no TTL.
    pub lease_left: Option<Duration>,
}

impl Console {
    /// Returns the leader's lock, if a scheduler (of this program or in Ruby) holds it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn leader(&self) -> Result<Option<LeaderLock>, StoreError> {
        let key = self.keys.lock();
        let mut both = redis::pipe();
        both.get(&key).pttl(&key);
        let (holder, left): (Option<Vec<u8>>, i64) = self.connection.pipeline(&both, &key).await?;
        Ok(holder.map(|holder| LeaderLock {
            holder: String::from_utf8_lossy(&holder).into_owned(),
            lease_left: u64::try_from(left).ok().map(Duration::from_millis),
        }))
    }

    /// Returns the address of the server, without a password.
    pub fn server(&self) -> &str {
        self.connection.server()
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> &str {
        self.keys.namespace()
    }

    /// Returns the time of the server. Microseconds, UTC.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn server_time(&self) -> Result<DateTime<Utc>, StoreError> {
        let key = self.keys.lock();
        let (seconds, micros): (i64, u32) =
            self.connection.command(&redis::cmd("TIME"), &key).await?;
        Ok(DateTime::from_timestamp(seconds, micros * 1_000).unwrap_or_default())
    }

    /// Returns a field of the server's `INFO`, such as `redis_version`.
    ///
    /// Returns `None` if the server does not have the field or the Redis user may not use `INFO`.
    ///
    /// # Errors
    /// [`StoreError`], except [`StoreError::Denied`].
    pub async fn server_info(
        &self,
        section: &str,
        name: &str,
    ) -> Result<Option<String>, StoreError> {
        let mut info: Cmd = redis::cmd("INFO");
        info.arg(section);
        let reply: Value = match self.connection.command(&info, &self.keys.lock()).await {
            Err(StoreError::Denied { .. }) => return Ok(None),
            reply => reply?,
        };
        let text: String = redis::from_redis_value(reply).unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(found, _)| *found == name);
        Ok(found.map(|(_, value)| value.trim().to_owned()))
    }
}

//! Access to Redis for apps and people. It needs no lease, and each change is one transaction.

#[cfg(feature = "daemon")]
pub(super) mod delayed;
#[cfg(feature = "daemon")]
pub(super) mod entries;
pub(super) mod events;
pub(super) mod history;
#[cfg(feature = "daemon")]
pub(super) mod jobs;
#[cfg(feature = "daemon")]
pub(super) mod leader;
pub(super) mod pauses;
#[cfg(feature = "daemon")]
pub(super) mod quarantine;
#[cfg(feature = "daemon")]
mod records;
pub(super) mod schedulers;

use std::fmt;

use chrono::{DateTime, Utc};
use redis::{Cmd, Pipeline};

use crate::store::{address::Address, connection::Connection, error::StoreError, keys::Keys};

/// A connection of an app or a person. Clones share it. It reopens itself after it breaks.
#[derive(Clone)]
pub struct Console {
    connection: Connection,
    keys: Keys,
}

impl Console {
    /// Creates a connection to `address` with the names in `keys`. Sends nothing yet.
    ///
    /// # Errors
    /// [`StoreError::NoHashTag`].
    pub fn open(address: &Address, keys: Keys) -> Result<Self, StoreError> {
        address.check_namespace(&keys)?;
        let connection = Connection::open(address);
        Ok(Self { connection, keys })
    }

    /// Enqueues a payload at the end of `queue`.
    ///
    /// # Errors
    /// [`StoreError`]. After [`StoreError::Unavailable`], the call may or may not have been done.
    pub async fn enqueue(&self, queue: &str, payload: &str) -> Result<(), StoreError> {
        let mut push = transaction();
        push.sadd(self.keys.queues(), queue)
            .rpush(self.keys.queue(queue), payload);
        self.execute(push, &self.keys.queue(queue)).await
    }

    /// Adds an item to the bucket of `at`, cut to whole seconds.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn delay(&self, at: DateTime<Utc>, item: &str) -> Result<(), StoreError> {
        let timestamp = at.timestamp();
        let member = timestamp.to_string();
        let mut delay = transaction();
        delay.rpush(self.keys.bucket(member.as_bytes()), item);
        delay.sadd(
            self.keys.timestamps(item.as_bytes()),
            format!("delayed:{member}"),
        );
        delay.zadd(self.keys.delayed_schedule(), &member, timestamp);
        self.execute(delay, &self.keys.delayed_schedule()).await
    }

    /// Sets a dynamic entry, replacing any entry of that name.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn set_entry(&self, name: &str, json: &str) -> Result<(), StoreError> {
        let mut set = transaction();
        set.hset(self.keys.dynamic_entries(), name, json);
        self.change_entry(set, name).await
    }

    /// Removes a dynamic entry. It is no error if there is none.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn remove_entry(&self, name: &str) -> Result<(), StoreError> {
        let mut remove = transaction();
        remove.hdel(self.keys.dynamic_entries(), name);
        self.change_entry(remove, name).await
    }

    async fn change_entry(&self, mut change: Pipeline, name: &str) -> Result<(), StoreError> {
        change.sadd(self.keys.changed_entries(), name);
        self.execute(change, &self.keys.dynamic_entries()).await
    }

    /// Returns the first elements of a list that has its newest element first, `limit` at most.
    async fn newest(&self, key: &str, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let Some(last) = limit.checked_sub(1) else {
            return Ok(vec![]);
        };
        let last = isize::try_from(last).unwrap_or(isize::MAX);
        self.connection
            .command(&Cmd::lrange(key, 0, last), key)
            .await
    }

    async fn execute(&self, mut commands: Pipeline, key: &str) -> Result<(), StoreError> {
        self.connection.pipeline(commands.ignore(), key).await
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("server", &self.connection.server())
            .finish_non_exhaustive()
    }
}

fn transaction() -> Pipeline {
    let mut commands = redis::pipe();
    commands.atomic();
    commands
}

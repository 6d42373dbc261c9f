//! Changes the records of entries.

use chrono::{DateTime, Utc};

use crate::store::{
    error::StoreError,
    port::records::RecordChange,
    record_reader::RecordReader,
    redis_store::RedisStore,
    scripts::{forget, seen},
};

impl RedisStore {
    pub(super) fn reader(&self) -> RecordReader<'_> {
        RecordReader {
            connection: &self.connection,
            keys: &self.keys,
        }
    }

    /// Changes the records of entries.
    pub(super) async fn write_records(
        &self,
        changes: &[RecordChange],
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let call = seen::call(&self.keys, &self.identity.holder, changes, now);
        let recorded: bool = self.connection.script(&call, &self.keys.seen()).await?;
        Ok(self
            .reconnect_if_lost(recorded.then_some(()))
            .await
            .is_some())
    }

    /// Removes the records of entries.
    pub(super) async fn remove_records(
        &self,
        entries: &[(String, DateTime<Utc>)],
    ) -> Result<Option<Vec<String>>, StoreError> {
        let call = forget::call(&self.keys, &self.identity.holder, entries);
        let forgotten = self.connection.script(&call, &self.keys.away()).await?;
        Ok(self.reconnect_if_lost(forgotten).await)
    }
}

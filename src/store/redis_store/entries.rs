//! Names of entries with digests: of dynamic entries, which apps set, and of published entries, which the leader
//! sets.

use std::collections::BTreeMap;

use crate::store::{
    error::StoreError,
    port::entries::{Publication, PublishedPage},
    redis_store::RedisStore,
    scripts::{
        names::{self, NamesReply},
        publish,
    },
};

/// Cursor of the first page. Redis returns it again after the last page.
const BEGIN: &str = "0";

impl RedisStore {
    async fn names(&self, key: &str, cursor: &str) -> Result<NamesReply, StoreError> {
        let call = names::call(key, cursor);
        self.connection.script(&call, key).await
    }

    /// Reads the names of all dynamic entries.
    pub(super) async fn read_dynamic_names(&self) -> Result<BTreeMap<Vec<u8>, String>, StoreError> {
        let key = self.keys.dynamic_entries();
        let (mut names, mut cursor) = (BTreeMap::new(), BEGIN.to_owned());
        loop {
            let page = self.names(&key, &cursor).await?;
            names.extend(page.names);
            if page.cursor == BEGIN {
                return Ok(names);
            }
            cursor = page.cursor;
        }
    }

    /// Reads a page of the names of published entries.
    pub(super) async fn read_published(
        &self,
        from: Option<&str>,
    ) -> Result<PublishedPage, StoreError> {
        let key = self.keys.entries();
        let NamesReply { cursor, names } = self.names(&key, from.unwrap_or(BEGIN)).await?;
        Ok(PublishedPage {
            digests: names,
            next: (cursor != BEGIN).then_some(cursor),
        })
    }

    /// Changes which entries are published.
    pub(super) async fn write_published(
        &self,
        publications: &[Publication],
    ) -> Result<bool, StoreError> {
        let call = publish::call(&self.keys, &self.identity.holder, publications);
        let key = self.keys.entries();
        let published: bool = self.connection.script(&call, &key).await?;
        let published = self.reconnect_if_lost(published.then_some(())).await;
        Ok(published.is_some())
    }
}

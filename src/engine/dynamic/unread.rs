//! Dynamic entries that are still to be read, page by page: they may be long, and what is due waits for a page.

use std::collections::BTreeSet;

use crate::store::{Store, StoreError};

/// How many entries the first page has. The ones after it have more or fewer, as bytes allow.
const FIRST: usize = 8;
const MOST: usize = 2_000;

/// How many bytes of JSON a page has, about.
const BYTES: usize = 256 << 10;

/// Names whose entries are to be read.
#[derive(Debug, Default)]
pub(super) struct Unread {
    pub(super) names: BTreeSet<Vec<u8>>,
    /// How many are in the next page.
    page: usize,
}

impl Unread {
    pub(super) fn of(names: BTreeSet<Vec<u8>>) -> Self {
        Self { names, page: FIRST }
    }

    /// Reads a page. Returns the JSON of each name in it, or nothing where there is none.
    ///
    /// # Errors
    /// [`StoreError`]; it is still to be read then.
    pub(super) async fn next_page(
        &mut self,
        store: &impl Store,
    ) -> Result<Vec<(Vec<u8>, Option<Vec<u8>>)>, StoreError> {
        let page: Vec<_> = self.names.iter().take(self.page).cloned().collect();
        if page.is_empty() {
            return Ok(vec![]);
        }
        let mut there = store.dynamic_entries_of(&page).await?;
        let bytes: usize = there.values().map(Vec::len).sum();
        if bytes > BYTES {
            self.page = (self.page / 2).max(1);
        } else if bytes < BYTES / 4 {
            self.page = (self.page * 2).min(MOST);
        }
        let mut read = |name: Vec<u8>| {
            self.names.remove(&name);
            let json = there.remove(&name);
            (name, json)
        };
        Ok(page.into_iter().map(&mut read).collect())
    }
}

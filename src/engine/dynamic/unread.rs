//! Dynamic entries that are still to be read. They are read page by page, because they may be long and due fires
//! wait for each page.

use std::collections::BTreeSet;

use crate::store::{Store, StoreError};

/// Number of entries in the first page, and the maximum. Pages grow or shrink depending on their bytes.
const FIRST: usize = 8;
const MOST: usize = 2_000;

/// Approximate maximum number of bytes of JSON in a page.
const BYTES: usize = 256 << 10;

/// Names of the entries that are still to be read.
#[derive(Debug, Default)]
pub(super) struct Unread {
    pub(super) names: BTreeSet<Vec<u8>>,
    /// Number of entries in the next page.
    page: usize,
}

impl Unread {
    pub(super) fn of(names: BTreeSet<Vec<u8>>) -> Self {
        Self { names, page: FIRST }
    }

    /// Reads a page. Returns the JSON of each name in it, or `None` if Redis has no such entry.
    ///
    /// # Errors
    /// [`StoreError`]; the page is still to be read.
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

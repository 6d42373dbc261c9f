//! Finds buckets that apps add before the stuck ones, because an app is slow or its clock is behind.
//!
//! The loop looks behind the stuck buckets. So once a second it also counts the buckets before that place, and
//! searches for the new ones if there are more than it knows.

use crate::{
    engine::delayed::stuck::Stuck,
    store::{Place, Store, StoreError},
};

/// Maximum number of buckets in one call of a search.
const PAGE: usize = 5_000;

/// Number of stuck buckets that are counted per second, on average. Redis passes over each of them.
const COUNTED_PER_SECOND: usize = 100_000;

/// Counts and searches the buckets before the place behind the stuck ones.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    /// When the buckets were last counted, in Unix seconds.
    counted_at: Option<i64>,
    search: Option<Search>,
}

/// A search among the buckets before the place, newest first, because most late buckets are late by a few seconds.
#[derive(Debug)]
struct Search {
    /// Number of buckets that are still to be searched. They are the oldest ones.
    left: usize,
    /// Total number of buckets before the place, if it is known.
    count: Option<usize>,
}

impl Newcomers {
    /// Ends the search, because what it found could not be moved.
    pub(super) fn end_search(&mut self) {
        self.search = None;
    }

    /// Returns the place of the oldest new bucket in a page of buckets, or `None` if there are no new buckets.
    /// `second` is the current time in Unix seconds.
    pub(super) async fn find(
        &mut self,
        store: &impl Store,
        stuck: &mut Stuck,
        second: i64,
    ) -> Result<Option<Place>, StoreError> {
        let known = stuck.known_before();
        let Some(past) = stuck.past().cloned() else {
            self.search = None;
            return Ok(None);
        };
        if self.search.is_none() {
            let between = (known / COUNTED_PER_SECOND).max(1) as u64;
            let recently = |at: i64| second.abs_diff(at) < between;
            if self.counted_at.is_some_and(recently) {
                return Ok(None);
            }
            self.counted_at = Some(second);
            // Ask for the last bucket that is known, and for one more.
            let last = store.before(&past, known.saturating_sub(1), 2).await?;
            if last.len() == known.min(1) {
                return Ok(None);
            }
        }
        // If there are `n` new buckets, `n` are among the first `known + n`.
        let search = self.search.get_or_insert(Search {
            left: known + PAGE / 2,
            count: None,
        });
        loop {
            let start = search.left.saturating_sub(PAGE);
            let asked = search.left - start;
            let page = store.before(&past, start, asked).await?;
            let first = page.iter().position(|(it, _)| !stuck.is_known(it));
            if let Some(first) = first {
                let first_score = &page[first].1;
                let same = page[..first].iter().rev();
                return Ok(Some(Place {
                    score: first_score.clone(),
                    before: same.take_while(|(_, it)| it == first_score).count(),
                    member: vec![],
                    items: 0,
                    staying: None,
                }));
            }
            if page.len() < asked && (start == 0 || !page.is_empty()) {
                search.count.get_or_insert(start + page.len());
            }
            let count = search.count;
            if start == 0 || count.is_some_and(|count| count <= known) {
                self.search = None;
                // Apps have removed some buckets, or put them back.
                stuck.set_known_before(count.unwrap_or(known));
                return Ok(None);
            }
            search.left = start;
        }
    }
}

//! Buckets that apps put before the stuck ones, because an app is slow, or its clock is behind.
//!
//! The loop looks behind the stuck buckets. So once a second it also asks whether as many buckets as it knows are
//! before that place, and searches for the others if not.

use crate::{
    engine::delayed::stuck::Stuck,
    store::{Place, Store, StoreError},
};

/// How many buckets are searched in one call.
const PAGE: usize = 5_000;

/// How many stuck buckets are counted per second, on average. Redis passes over each of them.
const COUNTED_PER_SECOND: usize = 100_000;

/// What is known of buckets before the stuck ones.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    /// When they were last counted, Unix seconds.
    counted_at: Option<i64>,
    search: Option<Search>,
}

/// A search among the buckets before the place, backwards, for mostly a bucket is late by a few seconds.
#[derive(Debug)]
struct Search {
    /// How many of them are still to be searched, the oldest ones.
    left: usize,
    /// How many there are, once that is known.
    count: Option<usize>,
}

impl Newcomers {
    /// Ends the search: what it found could not be moved.
    pub(super) fn end_search(&mut self) {
        self.search = None;
    }

    /// Returns the place of the oldest newcomer of a page of buckets, at the Unix second `second`. `None`: there are
    /// none.
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
            // The last one that is known, and one more.
            let last = store.before(&past, known.saturating_sub(1), 2).await?;
            if last.len() == known.min(1) {
                return Ok(None);
            }
        }
        // Newcomers are among the ones that are known and as many more as there are newcomers.
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
                // Apps have removed some, or put them back.
                stuck.set_known_before(count.unwrap_or(known));
                return Ok(None);
            }
            search.left = start;
        }
    }
}

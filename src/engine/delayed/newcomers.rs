//! Buckets that apps put before the stuck ones, because an app is slow, or its clock is behind.
//!
//! The loop looks behind the stuck buckets. So once a second it also asks whether as many buckets as it knows are
//! before that place, and searches for the others if not.

use chrono::{DateTime, Utc};

use crate::{
    engine::{delayed::Delayed, tick::Tick},
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

impl<S: Store> Delayed<S> {
    /// Moves a batch of newcomers, if there are any. `None`: there are none.
    pub(super) async fn move_newcomers(
        &mut self,
        now: DateTime<Utc>,
    ) -> Result<Option<Tick>, StoreError> {
        let Some(place) = self.find_newcomer(now.timestamp()).await? else {
            return Ok(None);
        };
        // That may be among the ones that are moved now.
        self.ahead = None;
        let largest = self.large.largest();
        self.begin(largest);
        let Some(due) = self.read(now, largest, Some(&place)).await? else {
            return Ok(Some(Tick::LeaseLost));
        };
        let Some(moved) = self.move_read(&due, largest, now).await? else {
            return Ok(Some(Tick::LeaseLost));
        };
        let batch = moved.batch(&due);
        let moved_any = moved.items > 0 || batch.gone > 0;
        let new = self.stuck.note_before(batch);
        self.report_stuck(&new);
        self.take_note(moved);
        if !moved_any && new.is_empty() {
            // They are too early by Redis' clock, or somebody was faster.
            self.newcomers.search = None;
        }
        Ok(Some(Tick::More))
    }

    /// Returns the place of the oldest newcomer of a page of buckets.
    async fn find_newcomer(&mut self, second: i64) -> Result<Option<Place>, StoreError> {
        let (known, newcomers) = (self.stuck.known_before(), &mut self.newcomers);
        let Some(past) = self.stuck.past().cloned() else {
            newcomers.search = None;
            return Ok(None);
        };
        if newcomers.search.is_none() {
            let between = (known / COUNTED_PER_SECOND).max(1) as u64;
            let recently = |at: i64| second.abs_diff(at) < between;
            if newcomers.counted_at.is_some_and(recently) {
                return Ok(None);
            }
            newcomers.counted_at = Some(second);
            // The last one that is known, and one more.
            let last = self.store.before(&past, known.saturating_sub(1), 2).await?;
            if last.len() == known.min(1) {
                return Ok(None);
            }
        }
        // Newcomers are among the ones that are known and as many more as there are newcomers.
        let search = newcomers.search.get_or_insert(Search {
            left: known + PAGE / 2,
            count: None,
        });
        loop {
            let start = search.left.saturating_sub(PAGE);
            let asked = search.left - start;
            let page = self.store.before(&past, start, asked).await?;
            let first = page.iter().position(|(it, _)| !self.stuck.is_known(it));
            if let Some(first) = first {
                let score = &page[first].1;
                let same = page[..first].iter().rev();
                return Ok(Some(Place {
                    score: score.clone(),
                    before: same.take_while(|(_, it)| it == score).count(),
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
                newcomers.search = None;
                // Apps have removed some, or put them back.
                self.stuck.set_known_before(count.unwrap_or(known));
                return Ok(None);
            }
            search.left = start;
        }
    }
}

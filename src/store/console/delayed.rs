//! Delayed jobs, for commands.

use chrono::{DateTime, Utc};
use redis::Cmd;

use crate::store::{
    console::{
        Console,
        jobs::{Cursor, DelayedChange, DelayedJob, DelayedOutcome, Span},
    },
    error::StoreError,
    scripts::{
        browse::{self, BrowseReply},
        change_delayed,
        count::{self, CountReply},
    },
};

/// Numbers of delayed jobs and buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DelayedCounts {
    /// All delayed jobs.
    pub waiting: usize,
    /// Delayed jobs that are due.
    pub due: usize,
    /// Buckets with delayed jobs.
    pub buckets: usize,
}

impl Console {
    /// Counts the delayed jobs, and those of them that are due at `now`. Jobs that come or go meanwhile may be counted
    /// or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delayed_counts(&self, now: DateTime<Utc>) -> Result<DelayedCounts, StoreError> {
        let key = self.keys.delayed_schedule();
        let mut counts = DelayedCounts::default();
        let (mut from, mut skip) = ("-inf".to_owned(), 0);
        loop {
            let call = count::call(&self.keys, now, &from, skip);
            let (jobs, due, buckets, next, next_skip): CountReply =
                self.connection.script(&call, &key).await?;
            counts.waiting += jobs;
            counts.due += due;
            counts.buckets += buckets;
            if next.is_empty() {
                return Ok(counts);
            }
            (from, skip) = (next, next_skip);
        }
    }

    /// Reads a page of the delayed jobs of `span`, the soonest first, and returns where the next page begins. Jobs that
    /// come or go meanwhile may be missing or read twice.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn browse_delayed(
        &self,
        span: &Span,
        cursor: &Cursor,
    ) -> Result<(Vec<DelayedJob>, Option<Cursor>), StoreError> {
        let key = self.keys.delayed_schedule();
        let call = browse::call(&self.keys, span, cursor);
        let BrowseReply { next, jobs } = self.connection.script(&call, &key).await?;
        Ok((jobs, next))
    }

    /// Changes delayed jobs, each in one atomic step. A job that a scheduler moves meanwhile is either moved or changed.
    /// `target` is the time for [`DelayedChange::Move`], cut to whole seconds.
    ///
    /// # Errors
    /// [`StoreError`]. After [`StoreError::Unavailable`] it may have been done.
    pub async fn change_delayed(
        &self,
        jobs: &[(DelayedJob, DelayedChange)],
        target: Option<DateTime<Utc>>,
    ) -> Result<Vec<DelayedOutcome>, StoreError> {
        let target = target.map(|at| at.timestamp());
        let call = change_delayed::call(&self.keys, jobs, target);
        let key = self.keys.delayed_schedule();
        self.connection.script(&call, &key).await
    }

    /// Returns when the oldest bucket is due. Whole seconds, UTC.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn oldest_due(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let key = self.keys.delayed_schedule();
        let oldest = Cmd::zrange_withscores(&key, 0, 0);
        let oldest: Vec<(Vec<u8>, f64)> = self.connection.command(&oldest, &key).await?;
        let seconds = oldest.first().map(|(_, score)| score.floor());
        #[expect(clippy::cast_possible_truncation, reason = "from_timestamp checks it")]
        Ok(seconds.and_then(|it| DateTime::from_timestamp(it as i64, 0)))
    }

    /// Returns the number of records in quarantine.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn quarantine_size(&self) -> Result<usize, StoreError> {
        let key = self.keys.quarantine();
        self.connection.command(&Cmd::llen(&key), &key).await
    }
}

//! One pass of the delayed loop: chooses a batch, reads it, moves it and records the outcome.

use chrono::{DateTime, Utc};

use crate::{
    engine::{
        delayed::{Delayed, bucket_name, moved::Moved},
        tick::Tick,
    },
    events::Event,
    store::{BatchLimit, Due, Place, Store, StoreError},
};

/// Maximum number of bytes of items in one call. Other clients wait while the script runs.
const BATCH_BYTES: usize = 1 << 20;

impl<S: Store> Delayed<S> {
    /// Moves a batch of new buckets before the stuck ones, or else of due buckets, or else of stuck buckets.
    pub(super) async fn pass(&mut self, now: DateTime<Utc>) -> Result<Tick, StoreError> {
        if let Some(tick) = self.move_newcomers(now).await? {
            return Ok(tick);
        }
        // Every second, start at the oldest bucket again, because apps may have added older ones.
        let second = now.timestamp();
        let ahead = self.ahead.take();
        let ahead = ahead.filter(|(read_at, _)| read_at.timestamp() == second && *read_at <= now);
        let largest = self.large.largest();
        let due = match ahead {
            Some((_, due)) => {
                self.begin(largest);
                Some(due)
            }
            None if self.store.is_any_due(now, self.stuck.past()).await? => {
                self.begin(largest);
                self.read(now, largest, self.stuck.past()).await?
            }
            None => Some(Due::default()),
        };
        let Some(due) = due else {
            return Ok(Tick::LeaseLost);
        };
        if due.last.is_some() {
            // Every bucket of the batch that is not stuck is shorter now, or gone.
            let moved = self.move_due(due, now).await?;
            return Ok(match (moved, &self.early) {
                (false, _) => Tick::LeaseLost,
                (true, None) => Tick::More,
                // If a bucket is too early, so are all later ones.
                (true, Some(_)) => Tick::Done { until: None },
            });
        }
        self.early = None;
        self.large.rest(self.stuck.len());
        if self.stuck.is_time(second) {
            return self.pass_again(now).await;
        }
        Ok(Tick::Done { until: None })
    }

    /// Moves a batch of new buckets before the stuck ones. Returns `None` if there are none.
    async fn move_newcomers(&mut self, now: DateTime<Utc>) -> Result<Option<Tick>, StoreError> {
        let (stuck, second) = (&mut self.stuck, now.timestamp());
        let Some(place) = self.newcomers.find(&self.store, stuck, second).await? else {
            return Ok(None);
        };
        // The items that were read ahead may be among those that are moved now.
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
            // The buckets are too early by Redis's clock, or another process was faster.
            self.newcomers.end_search();
        }
        Ok(Some(Tick::More))
    }

    /// Tries a batch of the stuck buckets again.
    async fn pass_again(&mut self, now: DateTime<Utc>) -> Result<Tick, StoreError> {
        let stuck_before = self.stuck.len();
        let from = self.stuck.begin_again(now.timestamp()).cloned();
        if from.is_none() {
            self.refusing.try_again();
        }
        let largest = self.large.largest_again(self.clock.monotonic());
        self.begin(largest);
        let Some(due) = self.read(now, largest, from.as_ref()).await? else {
            return Ok(Tick::LeaseLost);
        };
        let Some(moved) = self.move_read(&due, largest, now).await? else {
            return Ok(Tick::LeaseLost);
        };
        let (new, goes_on) = self.stuck.note_again(&due, moved.batch(&due));
        if !goes_on {
            self.large.tried(largest);
        }
        self.report_stuck(&new);
        self.take_note(moved);
        Ok(if goes_on || self.stuck.len() < stuck_before {
            Tick::More
        } else {
            Tick::Done { until: None }
        })
    }

    /// Moves the items of `due`, records which buckets are stuck, and reads ahead. Returns `false` if the lease is
    /// lost.
    async fn move_due(&mut self, due: Due, now: DateTime<Utc>) -> Result<bool, StoreError> {
        // Both calls are sent in this order. Redis reads the next items while we decode these, and moves these
        // while we receive the next ones.
        let largest = self.large.largest();
        let (ahead, moved) = tokio::join!(
            biased;
            self.read_behind(&due, largest, now),
            self.move_read(&due, largest, now)
        );
        let Some(moved) = moved? else {
            return Ok(false);
        };
        let new = self.stuck.note(&due, moved.batch(&due));
        self.report_stuck(&new);
        if let (None, Some(first)) = (&self.early, &moved.early) {
            let bucket = &bucket_name(first);
            self.events.emit(&Event::BucketTooEarly { bucket });
        }
        self.early.clone_from(&moved.early);
        // If items stayed, the items behind them were not to be read yet. If nothing was read ahead, read again
        // rather than sleep.
        let last = due.last.as_ref().map(|last| &last.member);
        let is_moved =
            moved.left.is_empty() && last.is_none_or(|it| !moved.staying.contains_key(it));
        let ahead = ahead?.filter(|ahead| is_moved && ahead.last.is_some());
        self.ahead = ahead.map(|ahead| (now, ahead));
        self.take_note(moved);
        Ok(true)
    }

    /// Records queues that reject jobs or take them again, and other changes.
    fn take_note(&mut self, moved: Moved) {
        for queue in moved.took {
            self.refusing.remove(&queue);
        }
        for (queue, mut refusal) in moved.refused {
            refusal.holds |= moved.is_quarantine_full;
            self.refusing.insert(queue, refusal);
        }
        if moved.lost {
            self.stuck.lose_place();
        }
        if moved.quarantined {
            self.looked_around = None;
        }
    }

    fn report_stuck(&self, buckets: &[(Vec<u8>, String)]) {
        for (member, reason) in buckets {
            let bucket = &bucket_name(member);
            self.events.emit(&Event::BucketStuck { bucket, reason });
        }
    }

    /// Records the start of an attempt to read and move a batch.
    fn begin(&mut self, largest: usize) {
        self.attempt = Some((self.clock.monotonic(), largest));
    }

    async fn read(
        &self,
        now: DateTime<Utc>,
        largest: usize,
        from: Option<&Place>,
    ) -> Result<Option<Due>, StoreError> {
        let limit = BatchLimit {
            count: self.count,
            bytes: BATCH_BYTES,
            item: largest,
        };
        self.store.due(now, limit, from).await
    }

    /// Reads what is due behind a full batch. Returns `None` if nothing is, or if that is not known yet.
    async fn read_behind(
        &self,
        due: &Due,
        largest: usize,
        now: DateTime<Utc>,
    ) -> Result<Option<Due>, StoreError> {
        let Some(last) = due.last.as_ref().filter(|_| due.full) else {
            return Ok(None);
        };
        if !due.too_large.is_empty() {
            // Redis would take as long again to return the size of that item.
            return Ok(None);
        }
        let bucket = due.buckets.last().filter(|it| it.member == last.member);
        let was_read = bucket.is_some();
        if bucket.is_some_and(|it| it.passed.is_some()) {
            // The place behind the batch depends on which of these items stay.
            return Ok(None);
        }
        let behind = Place {
            before: last.before + usize::from(!was_read),
            ..last.clone()
        };
        self.read(now, largest, Some(&behind)).await
    }
}

//! One pass: chooses a batch, reads it, and takes note of what became of it.

use chrono::{DateTime, Utc};

use crate::{
    engine::{
        delayed::{Delayed, bucket_name, moved::Moved},
        tick::Tick,
    },
    events::Event,
    store::{BatchLimit, Due, Place, Store, StoreError},
};

/// How many bytes of items go in one call: other clients wait while the script runs.
const BATCH_BYTES: usize = 1 << 20;

impl<S: Store> Delayed<S> {
    /// Moves a batch: of newcomers, else of what is due, else of what is stuck.
    pub(super) async fn pass(&mut self, now: DateTime<Utc>) -> Result<Tick, StoreError> {
        if let Some(tick) = self.move_newcomers(now).await? {
            return Ok(tick);
        }
        // It is begun at the oldest again each second: something older may have come meanwhile.
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
            // Every bucket that is not stuck has become shorter then, or is gone.
            let moved = self.move_due(due, now).await?;
            return Ok(match (moved, &self.early) {
                (false, _) => Tick::LeaseLost,
                (true, None) => Tick::More,
                // So is all that is due later.
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

    /// Moves a batch of newcomers, if there are any. `None`: there are none.
    async fn move_newcomers(&mut self, now: DateTime<Utc>) -> Result<Option<Tick>, StoreError> {
        let (stuck, second) = (&mut self.stuck, now.timestamp());
        let Some(place) = self.newcomers.find(&self.store, stuck, second).await? else {
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
            self.newcomers.end_search();
        }
        Ok(Some(Tick::More))
    }

    /// Looks at a batch of the stuck buckets again.
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

    /// Moves what of `due` can be moved, takes note of buckets that can't, and reads ahead. `false`: the
    /// lease is lost.
    async fn move_due(&mut self, due: Due, now: DateTime<Utc>) -> Result<bool, StoreError> {
        // Redis gets both in this order: it reads while we decode, and moves while we take up what it
        // has read.
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
        // What stands behind items that are still there was not to be read yet; and that nothing does
        // is no reason to sleep.
        let last = due.last.as_ref().map(|last| &last.member);
        let is_moved =
            moved.left.is_empty() && last.is_none_or(|it| !moved.staying.contains_key(it));
        let ahead = ahead?.filter(|ahead| is_moved && ahead.last.is_some());
        self.ahead = ahead.map(|ahead| (now, ahead));
        self.take_note(moved);
        Ok(true)
    }

    /// Takes note of queues that refuse jobs or take them now, and of what else changed.
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

    /// Begins an attempt to read and move a batch.
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

    /// What is due behind a batch that is full; `None`: there is none, or it is not known.
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
            // Redis would take as long again to tell the size of that item.
            return Ok(None);
        }
        let bucket = due.buckets.last().filter(|it| it.member == last.member);
        let was_read = bucket.is_some();
        if bucket.is_some_and(|it| it.passed.is_some()) {
            // It depends on which of its items stay.
            return Ok(None);
        }
        let behind = Place {
            before: last.before + usize::from(!was_read),
            ..last.clone()
        };
        self.read(now, largest, Some(&behind)).await
    }
}

//! Sends fires, and what was given up, to Redis, and reads what it knows better.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    core::schedule::overlap::Overlap,
    engine::recurring::{LARGEST_BATCH, Recurring, given_up::GivenUp, state::Pending},
    store::{Fire, FireOutcome, Missed, Store, StoreError},
};

impl<S: Store> Recurring<S> {
    /// Sends what was given up, which is over before the fires, and then these.
    pub(super) async fn send(
        &mut self,
        fires: &[Pending],
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<FireOutcome>>, StoreError> {
        if !self.note_given_up(now).await? {
            return Ok(None);
        }
        self.fire(fires, now).await
    }

    /// Records and logs what was given up. `false`: the lease is lost.
    async fn note_given_up(&mut self, now: DateTime<Utc>) -> Result<bool, StoreError> {
        while !self.given_up.is_empty() {
            let batch = &self.given_up[..self.given_up.len().min(LARGEST_BATCH)];
            let missed: Vec<Missed<'_>> = batch.iter().map(GivenUp::missed).collect();
            let Some(outcomes) = self.store.note_missed(&missed, now).await? else {
                return Ok(false);
            };
            for (given_up, outcome) in self.given_up.drain(..outcomes.len()).zip(outcomes) {
                given_up.report(outcome, &self.events);
            }
        }
        Ok(true)
    }

    async fn fire(
        &self,
        pending: &[Pending],
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<FireOutcome>>, StoreError> {
        if pending.is_empty() {
            return Ok(Some(vec![]));
        }
        let fire = |pending: &Pending| {
            let Pending {
                index,
                fire_time,
                cause,
            } = *pending;
            let entry = &self.states[index].entry;
            Fire {
                name: &entry.name,
                times: entry.timing.bounds().times,
                fire_time,
                cause,
                lateness: now - entry.due_at(fire_time),
                queue: entry.job.queue(),
                payload: entry.job.payload(cause, fire_time),
                guard: entry.guard,
                fixed_parts: match entry.guard.overlap {
                    Overlap::Allow => None,
                    _ => entry.job.fixed_parts(),
                },
            }
        };
        let fires: Vec<Fire<'_>> = pending.iter().map(fire).collect();
        self.store.fire(&fires, self.zone.local(now)).await
    }

    /// Reads the records of entries that Redis says have fired already: someone else wrote them, perhaps with a
    /// time that is far in the future.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn look_again(
        &mut self,
        indexes: &[usize],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if indexes.is_empty() {
            return Ok(());
        }
        let entry = |index: &usize| Arc::clone(&self.states[*index].entry);
        let entries: Vec<_> = indexes.iter().map(entry).collect();
        let names: Vec<_> = entries.iter().map(|it| it.name.clone()).collect();
        let records = self.store.records_of(&names).await?;
        let lost = records.lost.keys().collect();
        self.memory.note_lost(&self.store, lost, &self.events);
        for index in indexes {
            let state = &mut self.states[*index];
            if let Some(last) = records.last_fire(&state.entry.name) {
                state.progress.advance_to(last);
            }
        }
        self.ahead
            .note(&self.store, entries.iter(), &records, now, &self.events)
            .await;
        Ok(())
    }
}

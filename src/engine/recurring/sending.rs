//! Sends fires and missed fires to Redis.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    core::schedule::{entry::Entry, overlap::Overlap},
    engine::recurring::{Recurring, agenda::LARGEST_BATCH, given_up::GivenUp, state::Pending},
    store::{Fire, FireOutcome, Missed, Store, StoreError},
};

impl<S: Store> Recurring<S> {
    /// Remembers missed fires until they are recorded in Redis.
    pub(super) fn remember_given_up(&mut self, found: Vec<GivenUp>) {
        for given_up in found {
            let earlier = self.given_up.take(&*given_up.entry.name);
            self.given_up.insert(match earlier {
                Some(earlier) => given_up.after(&earlier),
                None => given_up,
            });
        }
    }

    /// Sends fires. Records the earlier missed fires of their entries first. Returns `None` if the lease is lost.
    pub(super) async fn send(
        &mut self,
        fires: &[Pending],
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<FireOutcome>>, StoreError> {
        let entries = fires
            .iter()
            .map(|it| Arc::clone(&self.states[it.index].entry));
        let mut entries: Vec<_> = entries
            .filter(|it| self.given_up.contains(&*it.name))
            .collect();
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        entries.dedup_by(|one, other| one.name == other.name);
        if !self.note_given_up(&entries, now).await? {
            return Ok(None);
        }
        self.fire(fires, now).await
    }

    /// Records and reports a batch of missed fires. Called when no fire is due, so that no fire waits for it.
    /// Returns `false` if the lease is lost.
    pub(super) async fn note_some_given_up(
        &mut self,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let some = self.given_up.iter().take(LARGEST_BATCH);
        let some: Vec<_> = some.map(|it| Arc::clone(&it.entry)).collect();
        self.note_given_up(&some, now).await
    }

    /// Records and reports the missed fires of these entries. Returns `false` if the lease is lost.
    async fn note_given_up(
        &mut self,
        entries: &[Arc<Entry>],
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        if entries.is_empty() {
            return Ok(true);
        }
        let given_up = entries.iter().filter_map(|it| self.given_up.get(&*it.name));
        let missed: Vec<Missed<'_>> = given_up.map(GivenUp::missed).collect();
        let Some(outcomes) = self.store.note_missed(&missed, now).await? else {
            return Ok(false);
        };
        for (entry, outcome) in entries.iter().zip(outcomes) {
            if let Some(given_up) = self.given_up.take(&*entry.name) {
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

    /// Reads the records of entries that have already fired according to Redis. Another process wrote them, perhaps
    /// with a time that is far in the future.
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

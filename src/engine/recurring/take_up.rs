//! Puts a schedule in force: reads and changes the records of its entries, and computes where each continues.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    core::schedule::{Changes, Schedule},
    engine::{
        breath::Breath,
        dynamic::Dynamic,
        recurring::{
            Recurring,
            leaving::Leaving,
            records::{change_records, report_ignored, sightings},
            resume::Known,
            steps::step,
        },
        tick::Tick,
    },
    events::Event,
    store::{RecordChange, Records, Store, StoreError},
};

impl<S: Store> Recurring<S> {
    /// Puts `schedule` in force at `now`. Entries with an unchanged timing continue where they are, other known
    /// entries continue from their records, and entries that are seen for the first time have missed nothing.
    ///
    /// # Errors
    /// [`StoreError`]; the previous schedule is still in force.
    pub async fn take_up(
        &mut self,
        schedule: &Schedule,
        now: DateTime<Utc>,
    ) -> Result<Tick, StoreError> {
        let mut records = self.store.records().await?;
        let mut breath = Breath::default();
        report_ignored(&records, &self.events);
        self.memory.loss = None;
        let lost = records.lost.keys();
        let lost = lost.filter(|it| schedule.get(it).is_some()).collect();
        self.memory.note_lost(&self.store, lost, &self.events);
        self.memory
            .note_forgotten(&self.states, &records, self.unbroken, &mut breath)
            .await;
        let sightings = sightings(schedule.entries(), &records, &mut breath).await;
        self.leaving = Leaving::default();
        if let Some(dynamic) = &mut self.dynamic {
            // These entries are among those with records, which are looked at below.
            drop(dynamic.take_removed());
        }
        let left = if self.is_whole(schedule) && !self.keeps_all {
            let may_have = |name: &str| may_have(self.dynamic.as_ref(), name);
            self.leaving.note(&records, schedule, may_have, now).await
        } else {
            vec![]
        };
        let Some(again) = self.record(sightings, left, &mut records, now).await? else {
            return Ok(Tick::LeaseLost);
        };
        let known = Known { records, again };
        self.resume(schedule, &known, now, |_| true).await;
        let mut records = known.records;
        self.stamps_unreadable = records.unreadable.take().map(|error| error.to_string());
        if let Some(error) = &self.stamps_unreadable {
            self.events.emit(&Event::StampsUnreadable { error });
        }
        self.ahead.retain(schedule);
        self.ahead
            .note(&self.store, schedule.entries(), &records, now, &self.events)
            .await;
        Ok(self.agenda.until(now))
    }

    /// Puts `schedule` in force at `now`, and returns it. If very many entries differ from `old`, the schedule in
    /// force, it puts an intermediate schedule in force and returns that one, because fires wait meanwhile. Reads
    /// and writes only the records of entries that change. Returns `None` if the lease is lost.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn change(
        &mut self,
        old: &Schedule,
        schedule: &Arc<Schedule>,
        now: DateTime<Utc>,
    ) -> Result<Option<Arc<Schedule>>, StoreError> {
        let (next, changes) = step(old, schedule).await;
        let Changes {
            added,
            changed,
            mut removed,
        } = changes;
        let schedule = &*next;
        if let Some(dynamic) = &mut self.dynamic {
            // Includes entries that were never in force because they had an error.
            let gone = dynamic.take_removed();
            removed.extend(
                gone.filter(|name| old.get(name).is_none() && schedule.get(name).is_none()),
            );
        }
        let names = [&added[..], &changed, &removed].concat();
        // The records that are read from here on may be newer than the witness.
        self.memory.witness = None;
        let mut records = self.store.records_of(&names).await?;
        report_ignored(&records, &self.events);
        let lost = records.lost.keys().collect();
        self.memory.note_lost(&self.store, lost, &self.events);
        let present = added.iter().chain(&changed);
        let present: Vec<_> = present.filter_map(|name| schedule.get(name)).collect();
        for entry in &present {
            self.leaving.returns(&entry.name, &records);
        }
        let mut breath = Breath::default();
        let sightings = sightings(present.iter().copied(), &records, &mut breath).await;
        let dynamic = self.dynamic.as_ref();
        let keeps = |name: &str| self.keeps_all || may_have(dynamic, name);
        let left = removed
            .iter()
            .filter(|name| records.has(name) && !keeps(name));
        let left = left.filter_map(|name| self.leaving.leaves(name, &records, now));
        let left = left.collect();
        let Some(again) = self.record(sightings, left, &mut records, now).await? else {
            return Ok(None);
        };
        let known = Known { records, again };
        let touched: HashSet<&str> = present.iter().map(|entry| &*entry.name).collect();
        let touched = |name: &str| touched.contains(name);
        self.resume(schedule, &known, now, touched).await;
        self.ahead.forget(&removed);
        self.ahead
            .note(
                &self.store,
                present.into_iter(),
                &known.records,
                now,
                &self.events,
            )
            .await;
        Ok(Some(next))
    }

    /// Whether entries that are not in `schedule` have left. A scheduler with neither files nor dynamic entries
    /// only moves delayed jobs, and all records belong to other schedulers.
    pub(super) fn is_whole(&self, schedule: &Schedule) -> bool {
        self.dynamic.is_some() || schedule.entries().len() > 0
    }

    /// Removes the records of entries that left a day ago. Returns `false` if the lease is lost.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn forget(&mut self, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let dynamic = self.dynamic.as_ref();
        let may_have = |name: &str| may_have(dynamic, name);
        self.leaving
            .forget(&self.store, may_have, now, &self.events)
            .await
    }

    /// Records the changes for entries of the schedule (`changes`) and for entries that left it. Afterwards, reads
    /// the records again of entries that another scheduler may have recorded first, and returns their names.
    /// Returns `None` if the lease is lost.
    async fn record(
        &self,
        mut changes: Vec<RecordChange>,
        left: Vec<RecordChange>,
        records: &mut Records,
        now: DateTime<Utc>,
    ) -> Result<Option<HashSet<String>>, StoreError> {
        if !left.is_empty() {
            let entries = &left.iter().map(RecordChange::name).collect::<Vec<_>>();
            self.events.emit(&Event::EntriesLeft { entries });
        }
        let again = |change: &&RecordChange| !matches!(change, RecordChange::Reworded { .. });
        let again = changes.iter().filter(again);
        let again: Vec<_> = again.map(|change| change.name().to_owned()).collect();
        changes.extend(left);
        if !change_records(&self.store, &changes, now).await? {
            return Ok(None);
        }
        // Free this early, because it is large if there are many entries.
        drop(changes);
        // Another process that believes to be the leader may have recorded these entries first.
        records.extend(self.store.records_of(&again).await?);
        Ok(Some(again.into_iter().collect()))
    }
}

/// Whether a dynamic entry of that name may exist, although it is not in force.
fn may_have(dynamic: Option<&Dynamic>, name: &str) -> bool {
    dynamic.is_some_and(|it| it.may_have(name))
}

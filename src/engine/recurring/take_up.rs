//! Putting a schedule in force: the schedule and what Redis knows of its entries tell where each stands.

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
    /// Puts `schedule` in force at `now`. Entries whose timing stays go on where they are; others
    /// resume from what Redis knows of them; new ones have missed nothing.
    ///
    /// # Errors
    /// [`StoreError`]; the schedule in force is then the old one.
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
            // They are among all that have records.
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

    /// Puts the next schedule on the way from `old`, which is in force, to `schedule` in force at `now`, and
    /// returns it: `schedule` itself, unless very many entries are not the same in both, for fires wait
    /// meanwhile. Reads and writes only the records of entries that change. `None`: the lease is lost.
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
            // Also those that were not in force, as they had an error.
            let gone = dynamic.take_removed();
            removed.extend(
                gone.filter(|name| old.get(name).is_none() && schedule.get(name).is_none()),
            );
        }
        let names = [&added[..], &changed, &removed].concat();
        // What we read from now on may be newer.
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

    /// Whether entries that are not in `schedule` have left: with neither entries nor dynamic ones it is for delayed
    /// jobs only, and all are another's.
    pub(super) fn is_whole(&self, schedule: &Schedule) -> bool {
        self.dynamic.is_some() || schedule.entries().len() > 0
    }

    /// Removes the records of entries that left a day ago. `false`: the lease is lost.
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

    /// Records the changes that put a schedule in force: what there is to record of the entries that are in it, and of
    /// those that left. Reads the records again where another scheduler may have been first, and returns the names of
    /// these entries. `None`: the lease is lost.
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
        // Of many entries they are much.
        drop(changes);
        // Another that believes that it leads may have been first.
        records.extend(self.store.records_of(&again).await?);
        Ok(Some(again.into_iter().collect()))
    }
}

/// Whether an entry of that name may be among the dynamic ones, though it is not in force.
fn may_have(dynamic: Option<&Dynamic>, name: &str) -> bool {
    dynamic.is_some_and(|it| it.may_have(name))
}

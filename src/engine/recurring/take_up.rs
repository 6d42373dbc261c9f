//! Putting a schedule in force: the schedule and what Redis knows of its entries tell where each stands.

use std::{collections::HashMap, mem, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    super::{
        Tick,
        standing::{Leaving, change_records, history, news},
    },
    Recurring, State,
};
use crate::{
    core::{entry::Entry, firing::Progress, schedule::Schedule},
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
        self.note_forgotten(&records);
        let mut changes = news(schedule, &records);
        let may_be_first = |change: &RecordChange| !matches!(change, RecordChange::Reworded { .. });
        let may_be_first = changes.iter().any(may_be_first);
        changes.extend(self.note_leaving(schedule, &records, now));
        if !change_records(&self.store, &changes, now).await? {
            return Ok(Tick::LeaseLost);
        }
        if may_be_first {
            // Another that believes that it leads may have been first. Of many entries they are much, and
            // held once.
            drop(mem::take(&mut records));
            records = self.store.records().await?;
        }
        self.resume(schedule, &records, now);
        self.stamps_unreadable = records.unreadable.map(|error| error.to_string());
        if let Some(error) = &self.stamps_unreadable {
            Event::StampsUnreadable { error }.emit();
        }
        // Clocks of two hosts may differ by a little.
        let ahead = now + TimeDelta::seconds(1);
        for entry in schedule.entries() {
            let ours = records.fired.get(&entry.name);
            let theirs = records.enqueued_elsewhere.get(&entry.name);
            if let Some(&last_fire) = ours.max(theirs).filter(|last| **last > ahead) {
                Event::AheadOfClock { entry, last_fire }.emit();
            }
        }
        self.plan_all();
        Ok(self.until(now))
    }

    /// Takes note of the entries that are not in `schedule`. Returns the changes of their records. With neither
    /// entries nor dynamic ones a scheduler is for delayed jobs only, and all are another's.
    fn note_leaving(
        &mut self,
        schedule: &Schedule,
        records: &Records,
        now: DateTime<Utc>,
    ) -> Vec<RecordChange> {
        self.leaving = Leaving::default();
        if self.keeps_all || self.dynamic.is_none() && schedule.entries().len() == 0 {
            return vec![];
        }
        let dynamic = self.dynamic.as_ref();
        let may_have = |name: &str| dynamic.is_some_and(|it| it.may_have(name));
        let changes = self.leaving.note(records, schedule, may_have, now);
        if !changes.is_empty() {
            let names = changes.iter().map(RecordChange::name);
            let entries = &names.collect::<Vec<_>>();
            Event::Left { entries }.emit();
        }
        changes
    }

    /// Makes the states of `schedule`, from those that there are and from what Redis knows.
    fn resume(&mut self, schedule: &Schedule, records: &Records, now: DateTime<Utc>) {
        let out_of_date = mem::take(&mut self.stale);
        let in_force: HashMap<String, State> = self
            .states
            .drain(..)
            .map(|state| (state.entry.name.clone(), state))
            .collect();
        let state = |entry: &Arc<Entry>| {
            let known = in_force.get(&entry.name);
            let known = known.filter(|state| state.entry.timing == entry.timing);
            let forgotten = self.forgotten.contains(&entry.name);
            let mut progress = match known {
                Some(state) if !out_of_date || forgotten => state.progress,
                _ => Progress::resume(&entry.timing, history(entry, records, now)),
            };
            let given_up = known.and_then(|state| state.given_up);
            if let Some(given_up) = given_up {
                progress.settle(given_up);
            }
            State {
                entry: Arc::clone(entry),
                progress,
                given_up,
                rejected: known.is_some_and(|state| state.rejected),
                skipped: known.map_or(0, |state| state.skipped),
            }
        };
        self.states = schedule.entries().map(state).collect();
    }
}

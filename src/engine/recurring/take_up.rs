//! Putting a schedule in force: the schedule and what Redis knows of its entries tell where each stands.

use std::{collections::HashSet, mem, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    core::{
        firing::history::Progress,
        schedule::{Changes, Schedule, entry::Entry},
    },
    engine::{
        Tick,
        agenda::Agenda,
        dynamic::Dynamic,
        recurring::{Recurring, State},
        standing::{Leaving, change_records, history, news},
    },
    events::{Event, RecordEvent},
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
        warn_of_ignored(&records);
        self.note_forgotten(&records);
        let news = news(schedule.entries(), &records);
        self.leaving = Leaving::default();
        if let Some(dynamic) = &mut self.dynamic {
            // They are among all that have records.
            drop(dynamic.take_removed());
        }
        let left = if self.is_whole(schedule) && !self.keeps_all {
            let may_have = |name: &str| may_have(self.dynamic.as_ref(), name);
            self.leaving.note(&records, schedule, may_have, now)
        } else {
            vec![]
        };
        if !self.record(news, left, &mut records, now).await? {
            return Ok(Tick::LeaseLost);
        }
        self.agenda = Agenda::default();
        self.resume(schedule, &records, now, |_| true);
        self.stamps_unreadable = records.unreadable.take().map(|error| error.to_string());
        if let Some(error) = &self.stamps_unreadable {
            Event::StampsUnreadable { error }.emit();
        }
        self.ahead.retain(schedule);
        self.ahead
            .note(&self.store, schedule.entries(), &records, now);
        Ok(self.agenda.until(now))
    }

    /// Puts `schedule` in force at `now` in place of `old`, which is in force. Reads and writes only the
    /// records of entries that are not the same in both.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn change(
        &mut self,
        old: &Schedule,
        schedule: &Schedule,
        now: DateTime<Utc>,
    ) -> Result<Tick, StoreError> {
        let Changes {
            added,
            changed,
            mut removed,
        } = old.changes_to(schedule);
        if let Some(dynamic) = &mut self.dynamic {
            // Also those that were not in force, as they had an error.
            let gone = dynamic.take_removed();
            removed.extend(
                gone.filter(|name| old.get(name).is_none() && schedule.get(name).is_none()),
            );
        }
        let names = [&added[..], &changed, &removed].concat();
        let mut records = self.store.records_of(&names).await?;
        warn_of_ignored(&records);
        let present = added.iter().chain(&changed);
        let present: Vec<_> = present.filter_map(|name| schedule.get(name)).collect();
        for entry in &present {
            self.leaving.returns(&entry.name, &records);
        }
        let news = news(present.iter().copied(), &records);
        let dynamic = self.dynamic.as_ref();
        let keeps = |name: &str| self.keeps_all || may_have(dynamic, name);
        let left = removed
            .iter()
            .filter(|name| records.has(name) && !keeps(name));
        let left = left.filter_map(|name| self.leaving.leaves(name, &records, now));
        let left = left.collect();
        if !self.record(news, left, &mut records, now).await? {
            return Ok(Tick::LeaseLost);
        }
        let touched: HashSet<&str> = present.iter().map(|entry| &*entry.name).collect();
        self.resume(schedule, &records, now, |name| touched.contains(name));
        self.ahead.forget(&removed);
        self.ahead
            .note(&self.store, present.into_iter(), &records, now);
        Ok(self.agenda.until(now))
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
        self.leaving.forget(&self.store, may_have, now).await
    }

    /// Records the changes that put a schedule in force: the news of entries that are in it, and the entries
    /// that left. Reads the records again where another scheduler may have been first. `false`: the lease is
    /// lost.
    async fn record(
        &self,
        mut news: Vec<RecordChange>,
        left: Vec<RecordChange>,
        records: &mut Records,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        if !left.is_empty() {
            let entries = &left.iter().map(RecordChange::name).collect::<Vec<_>>();
            RecordEvent::Left { entries }.emit();
        }
        let again = |change: &&RecordChange| !matches!(change, RecordChange::Reworded { .. });
        let again = news.iter().filter(again);
        let again: Vec<_> = again.map(|change| change.name().to_owned()).collect();
        news.extend(left);
        if !change_records(&self.store, &news, now).await? {
            return Ok(false);
        }
        // Of many entries they are much.
        drop(news);
        // Another that believes that it leads may have been first.
        records.extend(self.store.records_of(&again).await?);
        Ok(true)
    }

    /// Makes the states of `schedule`, from those that there are and from what Redis knows. States of entries
    /// that are not `touched` stay as they are, and so do their places on the agenda.
    fn resume(
        &mut self,
        schedule: &Schedule,
        records: &Records,
        now: DateTime<Utc>,
        touched: impl Fn(&str) -> bool,
    ) {
        let out_of_date = mem::take(&mut self.stale);
        let number = self.states.len();
        let mut before = mem::take(&mut self.states)
            .into_iter()
            .enumerate()
            .peekable();
        // The new index of each state that stays, by its old one.
        let mut moved = vec![None; number];
        let mut fresh = vec![];
        let mut states = Vec::with_capacity(schedule.entries().len());
        // Both are in the order of names.
        for (index, entry) in schedule.entries().enumerate() {
            while before
                .next_if(|(_, it)| it.entry.name < entry.name)
                .is_some()
            {}
            let known = before.next_if(|(_, it)| it.entry.name == entry.name);
            states.push(match known {
                Some((old, state)) if !touched(&entry.name) => {
                    moved[old] = Some(index);
                    state
                }
                known => {
                    fresh.push(index);
                    let known = known.map(|(_, state)| state);
                    self.state(entry, known, out_of_date, records, now)
                }
            });
        }
        self.states = states;
        self.agenda.renumber(&moved);
        for index in fresh {
            self.agenda.plan(index, &self.states[index]);
        }
    }

    /// The state of an entry, from the one that it has and from what Redis knows.
    fn state(
        &self,
        entry: &Arc<Entry>,
        known: Option<State>,
        out_of_date: bool,
        records: &Records,
        now: DateTime<Utc>,
    ) -> State {
        let known = known.filter(|state| state.entry.timing == entry.timing);
        let forgotten = self.forgotten.contains(&entry.name);
        let mut progress = match &known {
            Some(state) if !out_of_date || forgotten => state.progress,
            _ => Progress::resume(&entry.timing, history(entry, records, now)),
        };
        // What was given up by a clock that was ahead is not over yet.
        let given_up = known.as_ref().and_then(|state| state.given_up);
        let given_up = given_up.filter(|at| *at <= now);
        if let Some(given_up) = given_up {
            progress.settle(given_up);
        }
        State {
            entry: Arc::clone(entry),
            progress,
            given_up,
            caught_up: known.as_ref().map_or((0, 0), |state| state.caught_up),
            refused: known.as_ref().and_then(|state| state.refused),
            skipped: known.map_or(0, |state| state.skipped),
        }
    }
}

/// Whether an entry of that name may be among the dynamic ones, though it is not in force.
fn may_have(dynamic: Option<&Dynamic>, name: &str) -> bool {
    dynamic.is_some_and(|it| it.may_have(name))
}

fn warn_of_ignored(records: &Records) {
    let records = &records.ignored;
    if !records.is_empty() {
        RecordEvent::Ignored { records }.emit();
    }
}

//! Putting a schedule in force: the schedule and what Redis knows of its entries tell where each stands.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    core::{
        firing::history::Progress,
        schedule::{Changes, Schedule, entry::Entry},
    },
    engine::{
        breath::Breath,
        dynamic::Dynamic,
        recurring::{Recurring, agenda::Plans, state::State},
        standing::{Leaving, change_records, first_seen, history, news},
        tick::Tick,
    },
    events::{Event, Events},
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
        self.note_lost(lost.filter(|it| schedule.get(it).is_some()).collect());
        self.note_forgotten(&records, &mut breath).await;
        let news = news(schedule.entries(), &records, &mut breath).await;
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
        let Some(again) = self.record(news, left, &mut records, now).await? else {
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
        self.note_lost(records.lost.keys().collect());
        let present = added.iter().chain(&changed);
        let present: Vec<_> = present.filter_map(|name| schedule.get(name)).collect();
        for entry in &present {
            self.leaving.returns(&entry.name, &records);
        }
        let mut breath = Breath::default();
        let news = news(present.iter().copied(), &records, &mut breath).await;
        let dynamic = self.dynamic.as_ref();
        let keeps = |name: &str| self.keeps_all || may_have(dynamic, name);
        let left = removed
            .iter()
            .filter(|name| records.has(name) && !keeps(name));
        let left = left.filter_map(|name| self.leaving.leaves(name, &records, now));
        let left = left.collect();
        let Some(again) = self.record(news, left, &mut records, now).await? else {
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

    /// Records the changes that put a schedule in force: the news of entries that are in it, and the entries
    /// that left. Reads the records again where another scheduler may have been first, and returns the names of these
    /// entries. `None`: the lease is lost.
    async fn record(
        &self,
        mut news: Vec<RecordChange>,
        left: Vec<RecordChange>,
        records: &mut Records,
        now: DateTime<Utc>,
    ) -> Result<Option<HashSet<String>>, StoreError> {
        if !left.is_empty() {
            let entries = &left.iter().map(RecordChange::name).collect::<Vec<_>>();
            self.events.emit(&Event::EntriesLeft { entries });
        }
        let again = |change: &&RecordChange| !matches!(change, RecordChange::Reworded { .. });
        let again = news.iter().filter(again);
        let again: Vec<_> = again.map(|change| change.name().to_owned()).collect();
        news.extend(left);
        if !change_records(&self.store, &news, now).await? {
            return Ok(None);
        }
        // Of many entries they are much.
        drop(news);
        // Another that believes that it leads may have been first.
        records.extend(self.store.records_of(&again).await?);
        Ok(Some(again.into_iter().collect()))
    }

    /// Makes the states of `schedule`, from those that there are and from what Redis knows. States of entries
    /// that are not `touched` stay as they are, and so do their places on the agenda.
    async fn resume(
        &mut self,
        schedule: &Schedule,
        redis: &Known,
        now: DateTime<Utc>,
        touched: impl Fn(&str) -> bool,
    ) {
        let mut breath = Breath::default();
        let mut before = self.states.iter().enumerate().peekable();
        // The new index of each state that stays, by its old one.
        let mut moved = vec![None; self.states.len()];
        let mut plans = Plans::default();
        let mut states = Vec::with_capacity(schedule.entries().len());
        // Both are in the order of names.
        for (index, entry) in schedule.entries().enumerate() {
            breath.entry().await;
            while before
                .next_if(|(_, it)| it.entry.name < entry.name)
                .is_some()
            {}
            let known = before.next_if(|(_, it)| it.entry.name == entry.name);
            states.push(match known {
                Some((old, state)) if !touched(&entry.name) => {
                    moved[old] = Some(index);
                    // It may come from another line, and the old schedule is not needed any more.
                    State {
                        entry: Arc::clone(entry),
                        ..state.clone()
                    }
                }
                known => {
                    let known = known.map(|(_, state)| state);
                    let state = self.state(entry, known, redis, now);
                    plans.add(index, &state);
                    state
                }
            });
        }
        // All at once, for this may be given up before.
        self.states = states;
        self.summary = None;
        self.stale = false;
        self.agenda.renumber(&moved);
        self.agenda.extend(plans);
    }

    /// The state of an entry, from the one that it has and from what Redis knows.
    fn state(
        &self,
        entry: &Arc<Entry>,
        known: Option<&State>,
        redis: &Known,
        now: DateTime<Utc>,
    ) -> State {
        let records = &redis.records;
        let known = known.filter(|state| state.entry.timing == entry.timing);
        let forgotten = self.memory.forgotten.contains(&entry.name);
        let mut progress = match known {
            Some(state) if !self.stale || forgotten => state.progress,
            _ => {
                let history = history(entry, redis.first_seen(entry), records, now);
                Progress::resume(&entry.timing, history)
            }
        };
        if let Some(lost) = records.lost.get(&entry.name) {
            progress.advance_to(*lost);
        }
        // What was given up by a clock that was ahead is not over yet.
        let given_up = known.and_then(|state| state.given_up);
        let given_up = given_up.filter(|at| *at <= now);
        if let Some(given_up) = given_up {
            progress.advance_to(given_up);
        }
        State {
            entry: Arc::clone(entry),
            progress,
            given_up,
            caught_up: known.map_or((0, 0), |state| state.caught_up),
            refused: known.and_then(|state| state.refused),
            skipped: known.map_or(0, |state| state.skipped),
            paused: known.is_some_and(|state| state.paused),
        }
    }
}

/// How many changes of a schedule come into force in one step, at least; and at most in how many steps all of them.
const CHANGES: usize = 2_000;
const STEPS: usize = 20;

/// Returns the next schedule on the way from `old` to `new`, and the changes from `old` to it.
async fn step(old: &Schedule, new: &Arc<Schedule>) -> (Arc<Schedule>, Changes) {
    let (mut changes, mut breath) = (Changes::default(), Breath::default());
    let mut left = CHANGES.max(new.entries().len() / STEPS);
    for difference in old.differences(new) {
        breath.entry().await;
        left -= usize::from(changes.add(&difference));
        if left == 0 {
            let next = old.replaced_up_to(difference.name(), new);
            return (Arc::new(next), changes);
        }
    }
    (Arc::clone(new), changes)
}

/// What Redis knows of entries that come into force.
struct Known {
    records: Records,
    /// The names of those whose records were read again after they were written. That the others have the timing
    /// that is recorded was seen before.
    again: HashSet<String>,
}

impl Known {
    fn first_seen(&self, entry: &Entry) -> Option<DateTime<Utc>> {
        if self.again.contains(&entry.name) {
            return first_seen(entry, &self.records);
        }
        let (first_seen, _) = self.records.seen.get(&entry.name)?;
        Some(*first_seen)
    }
}

/// Whether an entry of that name may be among the dynamic ones, though it is not in force.
fn may_have(dynamic: Option<&Dynamic>, name: &str) -> bool {
    dynamic.is_some_and(|it| it.may_have(name))
}

fn report_ignored(records: &Records, events: &Events) {
    let records = &records.ignored;
    if !records.is_empty() {
        events.emit(&Event::RecordsIgnored { records });
    }
}

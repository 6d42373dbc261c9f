//! Computes where each entry continues when a schedule comes into force.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    core::{
        firing::history::Progress,
        schedule::{Schedule, entry::Entry},
    },
    engine::{
        breath::Breath,
        recurring::{Recurring, agenda::Plans, state::State},
    },
    store::{Records, Store},
};

/// Records of the entries that come into force.
pub(super) struct Known {
    pub(super) records: Records,
    /// Names of the entries whose records were written, and then read again. For all other entries, the recorded
    /// timing is already known to be the current one.
    pub(super) again: HashSet<String>,
}

impl Known {
    fn first_seen(&self, entry: &Entry) -> Option<DateTime<Utc>> {
        if self.again.contains(&entry.name) {
            return self.records.first_seen(entry);
        }
        let (first_seen, _) = self.records.seen.get(&entry.name)?;
        Some(*first_seen)
    }
}

impl<S: Store> Recurring<S> {
    /// Builds the states of `schedule` from the present states and from the records. States of entries that are not
    /// `touched`, and their places on the agenda, stay as they are.
    pub(super) async fn resume(
        &mut self,
        schedule: &Schedule,
        redis: &Known,
        now: DateTime<Utc>,
        touched: impl Fn(&str) -> bool,
    ) {
        let mut breath = Breath::default();
        let mut before = self.states.iter().enumerate().peekable();
        // The new index of each state that stays, by its old index.
        let mut moved = vec![None; self.states.len()];
        let mut plans = Plans::default();
        let mut states = Vec::with_capacity(schedule.entries().len());
        // Both are sorted by name.
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
                    // The entry may come from another line of the file. Using it allows the old schedule to be
                    // freed.
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
        // Change everything without an `await` in between, because this call may be cancelled.
        self.states = states;
        self.summary = None;
        self.stale = false;
        self.agenda.renumber(&moved);
        self.agenda.extend(plans);
    }

    /// Returns the new state of an entry, from its present state and its records.
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
                let history = records.history(entry, redis.first_seen(entry), now);
                Progress::resume(&entry.timing, history)
            }
        };
        if let Some(lost) = records.lost.get(&entry.name) {
            progress.advance_to(*lost);
        }
        // If a clock that was ahead counted fires as missed, those that are still to come are not missed.
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

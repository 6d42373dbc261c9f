//! Decides whether to trust our own state of an entry or its records in Redis.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    core::schedule::entry::Entry,
    engine::{
        breath::Breath,
        recurring::state::{Pending, State},
    },
    events::{Event, Events},
    store::{FireOutcome, Records, Store, StoreError},
};

/// State of this process that Redis may have lost.
#[derive(Default)]
pub(super) struct Memory {
    /// Names of entries whose records Redis lost. Only this process knows which fires were the last.
    pub(super) forgotten: HashSet<String>,
    /// Records of entries in force that Redis has lost.
    pub(super) loss: Option<Loss>,
    /// A recorded fire, to find out whether Redis still has everything that it confirmed.
    pub(super) witness: Option<Witness>,
    /// Whether the last pass failed. Redis may have lost data since then.
    pub(super) doubtful: bool,
}

/// The last fire that Redis confirmed since our state was last read or changed.
pub(super) struct Witness {
    entry: Arc<Entry>,
    fire_time: DateTime<Utc>,
}

/// Last fire times of entries that Redis has lost, although it has other records of the entries.
pub(super) struct Loss {
    number: usize,
    first: String,
    key: String,
}

impl Memory {
    /// Whether our state is still correct after an error within a term.
    ///
    /// No other process can have led, because the term would have ended. But Redis may have lost writes that it
    /// confirmed, after a failover to a lagging replica or a restart from an old snapshot. Then the jobs of these
    /// fires are lost together with the records, and must be enqueued again. Such a Redis has all writes up to some
    /// moment and none after it. So if it has the last fire that it confirmed, it has everything before that, too.
    /// If there is no such fire, all records are read again.
    ///
    /// It does not matter whether the call that failed took effect: the fence rejects a fire that is sent twice.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn is_still_true(&self, store: &impl Store) -> Result<bool, StoreError> {
        let Some(Witness { entry, fire_time }) = &self.witness else {
            return Ok(false);
        };
        let names = std::slice::from_ref(&entry.name);
        let records = store.records_of(names).await?;
        let last = records.fired.get(&entry.name);
        Ok(last.is_some_and(|last| last >= fire_time))
    }

    /// Remembers the last of these fires that Redis recorded.
    pub(super) fn note_witness(
        &mut self,
        states: &[State],
        fires: &[Pending],
        outcomes: &[FireOutcome],
    ) {
        let recorded = |it: &FireOutcome| {
            matches!(
                it,
                FireOutcome::Fired | FireOutcome::Skipped(_) | FireOutcome::Paused
            )
        };
        if let Some(last) = outcomes.iter().rposition(recorded) {
            let Pending {
                index, fire_time, ..
            } = fires[last];
            let entry = Arc::clone(&states[index].entry);
            self.witness = Some(Witness { entry, fire_time });
        }
    }

    /// Finds the entries whose records Redis has lost.
    ///
    /// If Redis has no record at all of an entry that we know, it lost its data. Then our own state counts until
    /// Redis records the next fire of the entry. The same holds for entries without a last fire if Redis lost the
    /// last fires of other entries. But if another scheduler may have led in between (not `unbroken`), it may have
    /// fired entries without our knowledge, and only the records in Redis count.
    pub(super) async fn note_forgotten(
        &mut self,
        states: &[State],
        records: &Records,
        unbroken: bool,
        breath: &mut Breath,
    ) {
        if !unbroken {
            self.forgotten.clear();
            return;
        }
        let lost = |state: &State| records.lost.contains_key(&state.entry.name);
        let fence_lost = !records.lost.is_empty() && states.iter().any(lost);
        for state in states {
            breath.entry().await;
            let name = &state.entry.name;
            if !records.seen.contains_key(name) || fence_lost {
                self.forgotten.insert(name.clone());
            }
        }
        self.forgotten
            .retain(|name| !records.fired.contains_key(name));
    }

    /// Reports the entries whose last fire Redis has lost, although it has other records of them.
    pub(super) fn note_lost(
        &mut self,
        store: &impl Store,
        mut names: Vec<&String>,
        events: &Events,
    ) {
        names.sort();
        if let Some(first) = names.first() {
            let key = store.fence();
            let entries = &names;
            events.emit(&Event::RecordsLost { key: &key, entries });
            self.loss = Some(Loss {
                number: names.len(),
                first: (*first).clone(),
                key,
            });
        }
    }

    /// Returns the problem as text, if Redis has lost records.
    pub(super) fn trouble(&self) -> Option<String> {
        let Loss { number, first, key } = self.loss.as_ref()?;
        Some(format!(
            "Redis lost records of entries in `{key}`: {number}, the first is {first}; if Redis evicts keys, set its \
             maxmemory-policy to noeviction"
        ))
    }
}

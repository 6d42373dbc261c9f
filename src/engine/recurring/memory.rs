//! What we remember of entries, and what Redis knows of them: which of the two counts.

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

/// What we know that Redis may not.
#[derive(Default)]
pub(super) struct Memory {
    /// Names of entries of which only we know how far they have come.
    pub(super) forgotten: HashSet<String>,
    /// What Redis has lost of entries in force.
    pub(super) loss: Option<Loss>,
    /// What shows that Redis still has all that it had confirmed.
    pub(super) witness: Option<Witness>,
    /// The last pass failed: Redis may have come back as another.
    pub(super) doubtful: bool,
}

/// A fire that Redis has confirmed; the last one since all that we remember was read or changed.
pub(super) struct Witness {
    entry: Arc<Entry>,
    fire_time: DateTime<Utc>,
}

/// Records of entries that Redis has lost while it kept others.
pub(super) struct Loss {
    number: usize,
    first: String,
    key: String,
}

impl Memory {
    /// Returns whether what we remember is still true after an error in the term that we hold.
    ///
    /// Nobody else can have led: the term would have ended. But Redis may have come back without what it had
    /// confirmed, as a replica that lagged behind or from an old snapshot, and then jobs are lost together with
    /// the records of their fires, which are to be fired again. Such a Redis has what was written up to some
    /// moment, and nothing later: if it has the fire that it confirmed last, it has all that was before. Without
    /// such a fire, all is read again.
    ///
    /// What the failed call itself did is not known, and need not be: the fence refuses what is sent twice.
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

    /// Remembers the last one of these fires of `states` that is recorded.
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

    /// Redis that knows nothing at all of an entry that we know has lost its data: what we remember of
    /// it counts, until its next fire is recorded. The same holds for an entry without a last fire if Redis has
    /// lost that record of others. But if another scheduler may have led since (not `unbroken`), it may have fired
    /// what we know nothing of: then only what Redis knows counts.
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

    /// Logs and reports the entries whose last fire Redis has lost, though it has other records of them.
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

    /// What Redis has lost, in words.
    pub(super) fn trouble(&self) -> Option<String> {
        let Loss { number, first, key } = self.loss.as_ref()?;
        Some(format!(
            "Redis lost records of entries in `{key}`: {number}, the first is {first}; if Redis evicts keys, set its \
             maxmemory-policy to noeviction"
        ))
    }
}

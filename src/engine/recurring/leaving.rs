//! Entries that left the schedule: their records are kept for a day, and then removed.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

use crate::{
    core::schedule::Schedule,
    engine::{breath::Breath, recurring::records::BATCH},
    events::{Event, Events},
    store::{Away, RecordChange, Records, Store, StoreError},
};

/// For how long the records of an entry are kept when it is not in the schedule any more.
const KEPT: TimeDelta = TimeDelta::days(1);

/// Entries that left the schedule and whose records are still kept, by the time when they left it.
#[derive(Debug, Default)]
pub(super) struct Leaving(BTreeSet<(DateTime<Utc>, String)>);

impl Leaving {
    /// Takes note of the entries with records that are not in `schedule`, unless `may_have` says that they
    /// may be in it after all. Returns the changes of the records.
    pub(super) async fn note(
        &mut self,
        records: &Records,
        schedule: &Schedule,
        may_have: impl Fn(&str) -> bool,
        now: DateTime<Utc>,
    ) -> Vec<RecordChange> {
        let mut breath = Breath::default();
        // To search a large schedule for each name takes long.
        let mut scheduled = HashSet::with_capacity(schedule.entries().len());
        for entry in schedule.entries() {
            breath.entry().await;
            scheduled.insert(&*entry.name);
        }
        let mut left = BTreeSet::new();
        let names = (records.seen.keys())
            .chain(records.fired.keys())
            .chain(records.fires.keys())
            .chain(records.away.keys());
        for name in names {
            breath.entry().await;
            if !scheduled.contains(&**name) && !may_have(name) {
                left.insert(name);
            }
        }
        let mut changes = vec![];
        for name in left {
            breath.entry().await;
            changes.extend(self.leaves(name, records, now));
        }
        changes
    }

    /// Takes note that an entry is not in the schedule. Returns the change of its records, if there is none of
    /// that.
    pub(super) fn leaves(
        &mut self,
        name: &str,
        records: &Records,
        now: DateTime<Utc>,
    ) -> Option<RecordChange> {
        let was = records.away.get(name).copied();
        let name = name.to_owned();
        match was {
            // Else a clock was wrong, now or then.
            Some(Away { since, until: None }) if since <= now => {
                self.0.insert((since, name));
                None
            }
            was => {
                self.0.insert((now.trunc_subsecs(0), name.clone()));
                Some(RecordChange::Left { name, was })
            }
        }
    }

    /// Takes note that an entry is in the schedule.
    pub(super) fn returns(&mut self, name: &str, records: &Records) {
        if let Some(away) = records.away.get(name) {
            self.0.remove(&(away.since, name.to_owned()));
        }
    }

    /// Removes the records of a batch of entries that left the schedule a day before `now`, unless `may_have`
    /// says that they may be in it after all. `false`: the lease is lost.
    ///
    /// # Errors
    /// [`StoreError`]; they are removed later then.
    pub(super) async fn forget(
        &mut self,
        store: &impl Store,
        may_have: impl Fn(&str) -> bool,
        now: DateTime<Utc>,
        events: &Events,
    ) -> Result<bool, StoreError> {
        let due = self.0.iter().take_while(|(since, _)| now - *since >= KEPT);
        let due: Vec<_> = due
            .take(BATCH)
            .map(|(since, name)| (name.clone(), *since))
            .collect();
        if due.is_empty() {
            return Ok(true);
        }
        let gone = due.iter().filter(|(name, _)| !may_have(name));
        let gone: Vec<_> = gone.cloned().collect();
        let Some(forgotten) = store.forget(&gone).await? else {
            return Ok(false);
        };
        for (name, since) in due {
            self.0.remove(&(since, name));
        }
        if !forgotten.is_empty() {
            let entries = &forgotten;
            events.emit(&Event::EntriesForgotten { entries });
        }
        Ok(true)
    }
}

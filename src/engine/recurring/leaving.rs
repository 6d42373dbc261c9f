//! Keeps the records of entries that left the schedule for a day, then removes them.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

use crate::{
    core::schedule::Schedule,
    engine::{breath::Breath, recurring::records::BATCH},
    events::{Event, Events},
    store::{Away, RecordChange, Records, Store, StoreError},
};

/// How long the records of an entry are kept after it left the schedule.
const KEPT: TimeDelta = TimeDelta::days(1);

/// Entries that left the schedule and whose records are still kept, ordered by the time at which they left.
#[derive(Debug, Default)]
pub(super) struct Leaving(BTreeSet<(DateTime<Utc>, String)>);

impl Leaving {
    /// Finds the entries that have records but are not in `schedule`, except those that may still appear according
    /// to `may_have`. Returns the changes of their records.
    pub(super) async fn note(
        &mut self,
        records: &Records,
        schedule: &Schedule,
        may_have: impl Fn(&str) -> bool,
        now: DateTime<Utc>,
    ) -> Vec<RecordChange> {
        let mut breath = Breath::default();
        // Searching a large schedule for every name would take long.
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

    /// Notes that an entry is not in the schedule. Returns the change of its records, unless Redis has it already.
    pub(super) fn leaves(
        &mut self,
        name: &str,
        records: &Records,
        now: DateTime<Utc>,
    ) -> Option<RecordChange> {
        let was = records.away.get(name).copied();
        let name = name.to_owned();
        match was {
            // If `since` is in the future, a clock was wrong then or is wrong now, and the time is recorded again.
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

    /// Notes that an entry is in the schedule.
    pub(super) fn returns(&mut self, name: &str, records: &Records) {
        if let Some(away) = records.away.get(name) {
            self.0.remove(&(away.since, name.to_owned()));
        }
    }

    /// Removes the records of a batch of entries that left the schedule a day before `now`, except those that may
    /// still appear according to `may_have`. Returns `false` if the lease is lost.
    ///
    /// # Errors
    /// [`StoreError`]; the records are removed later.
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

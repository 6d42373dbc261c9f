//! What Redis knows of the entries of a schedule: where each stands, which are new, which left it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

use crate::{
    core::{
        firing::{
            decide::next_to_fire,
            history::{History, Progress},
        },
        schedule::{Schedule, entry::Entry},
    },
    engine::breath::Breath,
    events::{Event, Events},
    store::{Away, RecordChange, Records, Store, StoreError},
};

/// How many names go in one call: other clients wait while the script runs.
const BATCH: usize = 500;

/// To report where an entry stands takes as long as to look at so many.
const EFFORT: usize = 10;

/// Tells where each entry of `schedule` stands, from what Redis knows.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn report(
    store: &impl Store,
    schedule: &Schedule,
    now: DateTime<Utc>,
    events: &Events,
) -> Result<(), StoreError> {
    let records = store.records().await?;
    let enqueued = store.last_enqueued().await?;
    let mut outcomes = HashMap::new();
    let mut breath = Breath::default();
    for (index, entry) in schedule.entries().enumerate() {
        breath.entries(EFFORT).await;
        if index % BATCH == 0 {
            let names = schedule.entries().skip(index).take(BATCH);
            let names: Vec<_> = names.map(|it| it.name.clone()).collect();
            outcomes = store.last_outcomes(&names).await?;
        }
        let history = history(entry, first_seen(entry, &records), &records, now);
        let progress = Progress::resume(&entry.timing, history);
        events.emit(&Event::EntryStatus {
            entry,
            last_enqueued: enqueued.get(&entry.name).copied(),
            last_outcome: outcomes.get(&entry.name).copied(),
            next: next_to_fire(entry, progress, now),
        });
    }
    Ok(())
}

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

/// Returns the changes of the records that put `entries` in force.
pub(super) async fn news<'e>(
    entries: impl Iterator<Item = &'e Arc<Entry>>,
    records: &Records,
    breath: &mut Breath,
) -> Vec<RecordChange> {
    let mut news = vec![];
    for entry in entries {
        breath.entry().await;
        news.extend(sighting(entry, records));
    }
    news
}

/// What there is to record of an entry that is in the schedule.
fn sighting(entry: &Entry, records: &Records) -> Option<RecordChange> {
    let (name, timing) = (&entry.name, entry.timing.identity());
    let seen = records.seen.get(name);
    let same = |old: &str| old == timing || entry.timing.is_identified_by(old);
    let Some((first_seen, old)) = seen.filter(|(_, old)| same(old)) else {
        let name = name.clone();
        return Some(RecordChange::First { name, timing });
    };
    if let Some(Away { since, until: None }) = records.away.get(name) {
        let (name, since) = (name.clone(), *since);
        return Some(RecordChange::Returned { name, since });
    }
    (**old != *timing).then(|| RecordChange::Reworded {
        name: name.clone(),
        first_seen: *first_seen,
        old: old.to_string(),
        new: timing,
    })
}

/// Changes the records of entries, batch by batch. `false`: the lease is lost.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn change_records(
    store: &impl Store,
    changes: &[RecordChange],
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    for changes in changes.chunks(BATCH) {
        if !store.change_records(changes, now).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When `entry` was first seen with the timing that it has.
pub(super) fn first_seen(entry: &Entry, records: &Records) -> Option<DateTime<Utc>> {
    let (first_seen, timing) = records.seen.get(&entry.name)?;
    entry.timing.is_identified_by(timing).then_some(*first_seen)
}

/// What has happened to `entry` before `now`, given when it was first seen with the timing that it has; if
/// nothing, it is first seen now.
pub(super) fn history(
    entry: &Entry,
    first_seen: Option<DateTime<Utc>>,
    records: &Records,
    now: DateTime<Utc>,
) -> History {
    let fires = records
        .fires
        .get(&entry.name)
        .filter(|_| first_seen.is_some());
    History {
        first_seen: first_seen.unwrap_or(now),
        last_fire: records.last_fire(&entry.name),
        enqueued_elsewhere: records.enqueued_elsewhere.get(&entry.name).copied(),
        returned: (records.away.get(&entry.name)).map(|away| away.until.unwrap_or(now)),
        fires: fires.copied().unwrap_or_default(),
    }
}

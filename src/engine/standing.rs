//! What Redis knows of the entries of a schedule: where each stands, which are new, which are gone.

use chrono::{DateTime, Utc};

use crate::{
    core::{
        entry::Entry,
        firing::{self, History, Progress},
        schedule::Schedule,
    },
    events::Event,
    store::{RecordChange, Records, Store, StoreError},
};

/// How many names go in one call: other clients wait while the script runs.
const BATCH: usize = 500;

/// Tells where each entry of `schedule` stands, from what Redis knows.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn report(
    store: &impl Store,
    schedule: &Schedule,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let records = store.records().await?;
    let enqueued = store.last_enqueued().await?;
    for entry in schedule.entries() {
        let history = history(entry, &records, now);
        let progress = Progress::resume(&entry.timing, history);
        let last_enqueued = enqueued.get(&entry.name).copied();
        Event::EntryStatus {
            entry,
            last_enqueued,
            last_outcome: history.last_fire.map(|last| {
                // The last fire time is recorded for fires that were skipped, too.
                let was_enqueued = last_enqueued.is_some_and(|enqueued| enqueued >= last);
                if was_enqueued { "enqueued" } else { "skipped" }
            }),
            next: firing::next_to_fire(entry, progress, now),
        }
        .emit();
    }
    Ok(())
}

/// Returns the changes of the records that put `schedule` in force. An
/// empty schedule may be `whole`; else it is for delayed jobs only, and no other schedule is forgotten.
pub(super) fn news(schedule: &Schedule, records: &Records, whole: bool) -> Vec<RecordChange> {
    let whole = whole || schedule.entries().len() > 0;
    let gone = |name: &&String| whole && schedule.get(name).is_none();
    let gone = records.seen.keys().filter(gone).cloned();
    let gone = gone.map(|name| RecordChange::Gone { name });
    gone.chain(
        schedule
            .entries()
            .filter_map(|entry| sighting(entry, records)),
    )
    .collect()
}

/// What there is to record of an entry that is in the schedule.
fn sighting(entry: &Entry, records: &Records) -> Option<RecordChange> {
    let (name, timing) = (entry.name.clone(), entry.timing.identity());
    let Some(first_seen) = first_seen(entry, records) else {
        return Some(RecordChange::First { name, timing });
    };
    let (_, old) = records.seen.get(&name)?;
    (**old != timing).then(|| RecordChange::Reworded {
        name,
        first_seen,
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
fn first_seen(entry: &Entry, records: &Records) -> Option<DateTime<Utc>> {
    let (first_seen, timing) = records.seen.get(&entry.name)?;
    entry.timing.is_identified_by(timing).then_some(*first_seen)
}

/// What has happened to `entry` before `now`; if nothing, it is first seen now.
pub(super) fn history(entry: &Entry, records: &Records, now: DateTime<Utc>) -> History {
    let first_seen = first_seen(entry, records);
    let fires = records
        .fires
        .get(&entry.name)
        .filter(|_| first_seen.is_some());
    History {
        first_seen: first_seen.unwrap_or(now),
        last_fire: records.fired.get(&entry.name).copied(),
        enqueued_elsewhere: records.enqueued_elsewhere.get(&entry.name).copied(),
        fires: fires.copied().unwrap_or_default(),
    }
}

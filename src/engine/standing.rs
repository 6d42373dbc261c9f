//! What Redis knows of the entries of a schedule: where each stands, which are new, which are gone.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    core::{
        entry::Entry,
        firing::{self, History, Progress},
        schedule::Schedule,
    },
    events::Event,
    store::{Records, Store, StoreError},
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

/// The entries of `schedule` that Redis doesn't know yet, and which names that it knows are gone. An empty
/// one may be `whole`; else it is for delayed jobs only, and no other schedule is forgotten.
pub(super) fn news<'s>(
    schedule: &'s Schedule,
    records: &Records,
    whole: bool,
) -> (Vec<&'s Entry>, Vec<String>) {
    let first = schedule
        .entries()
        .map(Arc::as_ref)
        .filter(|entry| first_seen(entry, records).is_none());
    let whole = whole || schedule.entries().len() > 0;
    let gone = |name: &&String| whole && schedule.get(name).is_none();
    let gone = records.seen.keys().filter(gone).cloned();
    (first.collect(), gone.collect())
}

/// Records which entries are seen for the first time at `now`, and which are gone. `false`: the lease is
/// lost.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn record_seen(
    store: &impl Store,
    first: &[&Entry],
    gone: &[String],
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    for gone in gone.chunks(BATCH) {
        if !store.record_seen(&[], gone, now).await? {
            return Ok(false);
        }
    }
    for first in first.chunks(BATCH) {
        let timing = |entry: &&Entry| (entry.name.clone(), entry.timing.identity());
        let first: Vec<_> = first.iter().map(timing).collect();
        if !store.record_seen(&first, &[], now).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When `entry` was first seen with the timing that it has.
fn first_seen(entry: &Entry, records: &Records) -> Option<DateTime<Utc>> {
    let (first_seen, timing) = records.seen.get(&entry.name)?;
    (**timing == entry.timing.identity()).then_some(*first_seen)
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

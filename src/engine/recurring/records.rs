//! What the records of entries in Redis say, and what is to be recorded of entries that are in the schedule.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    core::schedule::entry::Entry,
    engine::breath::Breath,
    events::{Event, Events},
    store::{Away, RecordChange, Records, Store, StoreError},
};

/// How many names go in one call: other clients wait while the script runs.
pub(in crate::engine) const BATCH: usize = 500;

/// Returns what there is to record of `entries`, which are in the schedule.
pub(super) async fn sightings<'e>(
    entries: impl Iterator<Item = &'e Arc<Entry>>,
    records: &Records,
    breath: &mut Breath,
) -> Vec<RecordChange> {
    let mut sightings = vec![];
    for entry in entries {
        breath.entry().await;
        sightings.extend(sighting(entry, records));
    }
    sightings
}

/// What there is to record of an entry: that it is there for the first time, or again, or that its timing is written
/// in another way.
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

/// Reports records that no scheduler can have written.
pub(super) fn report_ignored(records: &Records, events: &Events) {
    let records = &records.ignored;
    if !records.is_empty() {
        events.emit(&Event::RecordsIgnored { records });
    }
}

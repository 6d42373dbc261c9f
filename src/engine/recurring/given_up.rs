//! Missed fires that are not enqueued.

use std::{borrow::Borrow, cmp::Ordering, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    core::{
        firing::{decide, history::Progress},
        schedule::entry::Entry,
    },
    events::{Event, Events},
    store::{Missed, MissedOutcome},
};

/// Missed fires of one entry that are not enqueued, for its history. Ordered by the name of the entry.
pub(super) struct GivenUp {
    pub(super) entry: Arc<Entry>,
    pub(super) first: DateTime<Utc>,
    pub(super) last: DateTime<Utc>,
    /// Number of missed fires. `None` if there are too many to count.
    pub(super) count: Option<u32>,
}

impl PartialEq for GivenUp {
    fn eq(&self, other: &Self) -> bool {
        self.entry.name == other.entry.name
    }
}

impl Eq for GivenUp {}

impl PartialOrd for GivenUp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for GivenUp {
    fn cmp(&self, other: &Self) -> Ordering {
        self.entry.name.cmp(&other.entry.name)
    }
}

impl Borrow<str> for GivenUp {
    fn borrow(&self) -> &str {
        &self.entry.name
    }
}

impl GivenUp {
    /// Merges this with `earlier` missed fires of the same entry that are not recorded yet.
    pub(super) fn after(self, earlier: &Self) -> Self {
        let count = earlier.count.zip(self.count);
        Self {
            first: earlier.first,
            count: count.map(|(earlier, count)| earlier.saturating_add(count)),
            ..self
        }
    }

    /// Returns the record for Redis.
    pub(super) fn missed(&self) -> Missed<'_> {
        Missed {
            name: &self.entry.name,
            first: self.first,
            last: self.last,
            count: self.count,
        }
    }

    /// Logs the missed fires as Redis recorded them.
    pub(super) fn report(&self, outcome: MissedOutcome, events: &Events) {
        let Self {
            entry, first, last, ..
        } = self;
        let (entry, first, last) = (&**entry, *first, *last);
        match outcome {
            MissedOutcome::Missed => events.emit(&Event::Missed {
                entry,
                first,
                last,
                count: self.count,
            }),
            MissedOutcome::Paused => events.emit(&Event::Paused {
                entry,
                fire_time: last,
            }),
            // Another process recorded these fires and logged them.
            MissedOutcome::Fired => {}
        }
    }
}

/// Missed fires that were found while a batch was collected.
pub(super) struct GivenUps {
    pub(super) found: Vec<GivenUp>,
    /// How many more fire times may be counted. The other loops wait while fire times are counted.
    countable: u32,
}

impl Default for GivenUps {
    fn default() -> Self {
        Self {
            found: vec![],
            countable: 20_000,
        }
    }
}

impl GivenUps {
    pub(super) fn add(
        &mut self,
        entry: &Arc<Entry>,
        progress: Progress,
        first: DateTime<Utc>,
        until: DateTime<Utc>,
    ) {
        let (last, count) = decide::counted(entry, progress, (first, until), self.countable);
        self.countable = self.countable.saturating_sub(count.unwrap_or(u32::MAX));
        self.found.push(GivenUp {
            entry: Arc::clone(entry),
            first,
            last,
            count,
        });
    }
}

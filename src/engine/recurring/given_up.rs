//! Fires that are given up: they were missed, and are not caught up with.

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

/// Fire times of an entry that were given up, for its history. Ordered by the name of the entry.
pub(super) struct GivenUp {
    pub(super) entry: Arc<Entry>,
    pub(super) first: DateTime<Utc>,
    pub(super) last: DateTime<Utc>,
    /// How many they are; `None`: too many to be counted.
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
    /// The same, after `earlier` ones of the entry that are not recorded yet.
    pub(super) fn after(self, earlier: &Self) -> Self {
        let count = earlier.count.zip(self.count);
        Self {
            first: earlier.first,
            count: count.map(|(earlier, count)| earlier.saturating_add(count)),
            ..self
        }
    }

    /// The same, for Redis.
    pub(super) fn missed(&self) -> Missed<'_> {
        Missed {
            name: &self.entry.name,
            first: self.first,
            last: self.last,
            count: self.count,
        }
    }

    /// Logs what it was recorded as.
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
            // That one has logged it.
            MissedOutcome::Fired => {}
        }
    }
}

/// What was given up while fires were looked for.
pub(super) struct GivenUps {
    pub(super) found: Vec<GivenUp>,
    /// How many fire times may still be counted: the other loops wait meanwhile.
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

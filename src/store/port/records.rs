//! What Redis remembers of entries.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    core::{firing::history::History, schedule::entry::Entry},
    store::error::StoreError,
};

/// What stands in Redis about entries, by name.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// When each was first seen, and with which timing (its
    /// [`crate::core::time::timing::Timing::identity`]; many entries have the same).
    pub seen: HashMap<String, (DateTime<Utc>, Arc<str>)>,
    /// The last fire time of each.
    pub fired: HashMap<String, DateTime<Utc>>,
    /// The last fire time that was enqueued, of entries that are not in `fired` though they have fired: Redis
    /// has lost those records alone.
    pub lost: HashMap<String, DateTime<Utc>>,
    /// How many fires each had since it was first seen, where that is limited.
    pub fires: HashMap<String, u32>,
    /// When each was out of the schedule, if it ever was.
    pub away: HashMap<String, Away>,
    /// When each was last enqueued by someone else, since we did: by a Ruby scheduler that led.
    pub enqueued_elsewhere: HashMap<String, DateTime<Utc>>,
    /// Key and name of records that no scheduler can have written, as a time after 2199. They are not among the
    /// others. Only the first ones are here.
    pub ignored: Vec<String>,
    /// Why the times of a Ruby scheduler are not known, if they are not; the rest is.
    pub unreadable: Option<StoreError>,
}

/// A record of an entry that is a time; while it is in the future, the entry does not fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeRecord {
    /// [`Records::fired`].
    LastFire,
    /// [`Records::enqueued_elsewhere`].
    EnqueuedElsewhere,
    /// [`Records::seen`].
    FirstSeen,
}

impl Records {
    /// Whether anything is recorded of the entry `name`, except for what a Ruby scheduler did.
    pub fn has(&self, name: &str) -> bool {
        self.seen.contains_key(name)
            || self.fired.contains_key(name)
            || self.fires.contains_key(name)
            || self.away.contains_key(name)
    }

    /// Returns the last fire time of an entry.
    pub fn last_fire(&self, name: &str) -> Option<DateTime<Utc>> {
        let last = self.fired.get(name).or_else(|| self.lost.get(name));
        last.copied()
    }

    /// Returns when `entry` was first seen with its present timing. UTC, whole seconds.
    pub fn first_seen(&self, entry: &Entry) -> Option<DateTime<Utc>> {
        let (first_seen, timing) = self.seen.get(&entry.name)?;
        entry.timing.is_identified_by(timing).then_some(*first_seen)
    }

    /// Returns what has happened to `entry` before `now`. If `first_seen` is `None`, the entry is first seen now.
    pub fn history(
        &self,
        entry: &Entry,
        first_seen: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> History {
        let name = &entry.name;
        let fires = self.fires.get(name).filter(|_| first_seen.is_some());
        History {
            first_seen: first_seen.unwrap_or(now),
            last_fire: self.last_fire(name),
            enqueued_elsewhere: self.enqueued_elsewhere.get(name).copied(),
            returned: (self.away.get(name)).map(|away| away.until.unwrap_or(now)),
            fires: fires.copied().unwrap_or_default(),
        }
    }

    /// Takes what `newer` has in place of what is known of the same entries.
    pub fn extend(&mut self, newer: Self) {
        self.seen.extend(newer.seen);
        self.fired.extend(newer.fired);
        self.lost.extend(newer.lost);
        self.fires.extend(newer.fires);
        self.away.extend(newer.away);
        self.enqueued_elsewhere.extend(newer.enqueued_elsewhere);
        self.unreadable = newer.unreadable.or(self.unreadable.take());
    }
}

/// A change of what is recorded of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordChange {
    /// The entry is seen for the first time with this timing. Nothing changes if it is recorded with it.
    First {
        /// The entry's name.
        name: String,
        /// Its [`crate::core::time::timing::Timing::identity`].
        timing: String,
    },
    /// Another text identifies the same timing. Nothing changes if the record is not the given one.
    Reworded {
        /// The entry's name.
        name: String,
        /// When it was first seen.
        first_seen: DateTime<Utc>,
        /// The text that is recorded.
        old: String,
        /// The text that replaces it.
        new: String,
    },
    /// The entry left the schedule. Nothing changes if the record is not the given one.
    Left {
        /// The entry's name.
        name: String,
        /// What is recorded of it.
        was: Option<Away>,
    },
    /// The entry returned to the schedule. Nothing changes if the record is not the given one.
    Returned {
        /// The entry's name.
        name: String,
        /// Since when it was out of the schedule.
        since: DateTime<Utc>,
    },
}

impl RecordChange {
    /// Returns the name of the entry.
    pub fn name(&self) -> &str {
        match self {
            Self::First { name, .. }
            | Self::Reworded { name, .. }
            | Self::Left { name, .. }
            | Self::Returned { name, .. } => name,
        }
    }
}

/// When an entry was out of the schedule the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away {
    /// When a leader first saw that it was not in the schedule.
    pub since: DateTime<Utc>,
    /// When it was in the schedule again; `None`: it is not.
    pub until: Option<DateTime<Utc>>,
}

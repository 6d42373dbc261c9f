//! What Redis stores about entries.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    core::{firing::history::History, schedule::entry::Entry},
    store::error::StoreError,
};

/// The records of entries in Redis, by name.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// When each entry was first seen, and the identity of its timing then
    /// ([`crate::core::time::timing::Timing::identity`]). Many entries share an identity.
    pub seen: HashMap<String, (DateTime<Utc>, Arc<str>)>,
    /// The last fire time of each entry: the fence.
    pub fired: HashMap<String, DateTime<Utc>>,
    /// The last enqueued fire time of entries that are missing in `fired` although they have fired. Redis has lost
    /// only their field in the fence.
    pub lost: HashMap<String, DateTime<Utc>>,
    /// Number of fires of each entry with `times`, since it was first seen.
    pub fires: HashMap<String, u32>,
    /// When each entry was last out of the schedule, if it ever was.
    pub away: HashMap<String, Away>,
    /// When another scheduler last enqueued each entry, if later than we did: a Ruby scheduler that was leader.
    pub enqueued_elsewhere: HashMap<String, DateTime<Utc>>,
    /// Key and name of records that no scheduler can have written, such as a time after 2199. The other fields
    /// leave them out. Only the first few are listed.
    pub ignored: Vec<String>,
    /// Why the times of a Ruby scheduler could not be read. The other records are complete.
    pub unreadable: Option<StoreError>,
}

/// A record that is a time. While it is in the future, the entry does not fire.
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
    /// Whether Redis has a record of the entry `name`, other than those that a Ruby scheduler writes.
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

    /// Replaces the records of each entry that `newer` contains.
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

/// A change to the records of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordChange {
    /// The entry is first seen with this timing. Changes nothing if the record already has this timing.
    First {
        /// The entry's name.
        name: String,
        /// The timing's [`crate::core::time::timing::Timing::identity`].
        timing: String,
    },
    /// A new text identifies the same timing. Changes nothing if the record differs from `old`.
    Reworded {
        /// The entry's name.
        name: String,
        /// When the entry was first seen.
        first_seen: DateTime<Utc>,
        /// The recorded identity.
        old: String,
        /// The new identity.
        new: String,
    },
    /// The entry left the schedule. Changes nothing if the record differs from `was`.
    Left {
        /// The entry's name.
        name: String,
        /// The current record.
        was: Option<Away>,
    },
    /// The entry returned to the schedule. Changes nothing if the record differs from `since`.
    Returned {
        /// The entry's name.
        name: String,
        /// When the entry left the schedule.
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

/// When an entry was last out of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away {
    /// When a leader first saw that the entry was not in the schedule.
    pub since: DateTime<Utc>,
    /// When the entry returned to the schedule; `None`: it has not.
    pub until: Option<DateTime<Utc>>,
}

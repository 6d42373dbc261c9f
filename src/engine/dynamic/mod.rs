//! Dynamic entries: apps set them in Redis, and they replace entries of the files with the same name. The leader
//! looks for changes every second, and acknowledges them when they are in force.
//!
//! ```text
//! mod       which entries there are, and how they change the schedule of the files
//! unread    entries that are still to be read, page by page
//! reading   parses the JSON of an entry
//! ```

pub(super) mod reading;
mod unread;

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use chrono::{DateTime, Utc};

use crate::{
    config::Context,
    core::schedule::{Changes, DynamicState, Schedule},
    engine::dynamic::{
        reading::{read, report_reading},
        unread::Unread,
    },
    events::{Event, Events},
    store::{Store, StoreError, digest},
};

/// Maximum number of changes that are acknowledged in one call. Other clients wait while the script runs.
const BATCH: usize = 500;

/// Maximum number of entries for which errors and warnings are logged at a time.
const REPORTED: usize = 50;

/// What is known about one name.
struct Known {
    json: Vec<u8>,
    /// The parsed entry, or its errors.
    reading: Result<DynamicState, String>,
    /// The last version without errors.
    before: Option<DynamicState>,
}

impl Known {
    fn in_force(&self) -> Option<&DynamicState> {
        self.reading.as_ref().ok().or(self.before.as_ref())
    }
}

/// Which dynamic entries must be merged with those of the files.
enum Merge {
    /// Only entries that changed.
    Changed,
    All,
}

/// The dynamic entries, and the schedule that results from them and the files.
pub(super) struct Dynamic {
    context: Context,
    events: Events,
    known: BTreeMap<Vec<u8>, Known>,
    /// Problem of the known entries as text. Kept because there may be too many entries to look for it in every
    /// pass.
    rejected: Option<String>,
    /// Number of entries with errors or warnings, or left out, in this round of reading.
    notable: usize,
    /// Whether the names of all entries in Redis are known.
    listed: bool,
    /// Entries that are still to be read.
    unread: Unread,
    /// Whether the unread entries were known in another term only. Then they are not in force while they are being
    /// read.
    in_doubt: bool,
    /// Whether no other process can have led since the known entries were read.
    unbroken: bool,
    /// Names of changed entries, to be acknowledged when the entries are read.
    left: Vec<Vec<u8>>,
    /// Names of entries that differ from those in `merged`.
    changed: BTreeSet<Vec<u8>>,
    /// Entries that `merged` lacks.
    to_merge: Option<Merge>,
    /// The schedule of the files that is part of `merged`.
    files: Option<Arc<Schedule>>,
    merged: Arc<Schedule>,
    /// The last `merged` for which all entries were read.
    complete: Option<Arc<Schedule>>,
    looked_at: DateTime<Utc>,
    /// Changes (name and JSON) that are to be acknowledged when they are in force.
    unacknowledged: Vec<(Vec<u8>, Vec<u8>)>,
    /// Names of entries that were removed, whether they were in force or not.
    removed: BTreeSet<Vec<u8>>,
    unreadable: Option<String>,
}

impl Dynamic {
    /// Returns an instance without entries. `context` is the context in which entries are parsed.
    pub(super) fn new(context: Context, events: Events) -> Self {
        Self {
            context,
            events,
            known: BTreeMap::new(),
            rejected: None,
            notable: 0,
            listed: false,
            unread: Unread::default(),
            in_doubt: false,
            unbroken: true,
            left: vec![],
            changed: BTreeSet::new(),
            to_merge: None,
            files: None,
            merged: Arc::default(),
            complete: None,
            looked_at: DateTime::UNIX_EPOCH,
            unacknowledged: vec![],
            removed: BTreeSet::new(),
            unreadable: None,
        }
    }

    /// Returns the schedule that is to be in force at `now`, which is the same `Arc` as before unless the files or
    /// dynamic entries changed. `reread`: Redis may have other entries than we remember. `unbroken`: no other process
    /// can have led since we read them.
    ///
    /// Each call reads one page of entries ([`Self::is_reading`]). They are put in force when all are read. Until
    /// then, entries of the files with the same names do not fire.
    ///
    /// # Errors
    /// [`StoreError`], except for keys that cannot be read. Then the known entries stay in force.
    pub(super) async fn look(
        &mut self,
        store: &impl Store,
        files: Arc<Schedule>,
        reread: bool,
        unbroken: bool,
        now: DateTime<Utc>,
    ) -> Result<Arc<Schedule>, StoreError> {
        self.listed &= !reread;
        let next_second = now.timestamp() != self.looked_at.timestamp();
        let lists = reread || next_second && !self.is_reading();
        if lists {
            self.unbroken = unbroken;
        }
        if lists || self.is_reading() {
            let read = self.read(store, lists).await;
            let done = self
                .unless_denied(read, |error| Event::DynamicUnreadable { error })?
                .is_some();
            if !done {
                (self.listed, self.unread) = (false, Unread::default());
                if mem::take(&mut self.in_doubt) {
                    // The known entries stay in force.
                    self.to_merge = Some(Merge::All);
                }
            } else if self.unacknowledged.is_empty() && !self.is_reading() {
                // Otherwise the problem may be that changes cannot be acknowledged.
                self.unreadable = None;
            }
            self.looked_at = now;
        }
        self.merge(files);
        Ok(Arc::clone(&self.merged))
    }

    /// Whether some entries are still to be read.
    pub(super) fn is_reading(&self) -> bool {
        !self.unread.names.is_empty()
    }

    /// Whether a dynamic entry of that name may exist, although it is not in force. Its records must not be
    /// removed.
    pub(super) fn may_have(&self, name: &str) -> bool {
        let name = name.as_bytes();
        !self.listed || self.known.contains_key(name) || self.unread.names.contains(name)
    }

    /// Returns the names of the entries that were removed since the last call.
    pub(super) fn take_removed(&mut self) -> impl Iterator<Item = String> {
        let removed = mem::take(&mut self.removed).into_iter();
        removed.filter_map(|name| String::from_utf8(name).ok())
    }

    /// Acknowledges the changes that are in force now.
    ///
    /// # Errors
    /// [`StoreError`]; the changes are acknowledged later.
    pub(super) async fn acknowledge(&mut self, store: &impl Store) -> Result<(), StoreError> {
        while !self.unacknowledged.is_empty() {
            let batch = self.unacknowledged.len().saturating_sub(BATCH);
            let acknowledged = store.ack_changes(&self.unacknowledged[batch..]).await;
            let acknowledged =
                self.unless_denied(acknowledged, |error| Event::DynamicUnacknowledged { error })?;
            if acknowledged.is_some() {
                self.unreadable = None;
            }
            self.unacknowledged.truncate(batch);
        }
        Ok(())
    }

    /// Reports an error that only affects the keys of dynamic entries as `event` and returns `None`, so that other
    /// entries continue.
    fn unless_denied<T>(
        &mut self,
        outcome: Result<T, StoreError>,
        event: impl FnOnce(&str) -> Event<'_>,
    ) -> Result<Option<T>, StoreError> {
        match outcome {
            Err(error) if error.is_partial() => {
                let error = error.to_string();
                if self.unreadable.as_ref() != Some(&error) {
                    self.events.emit(&event(&error));
                }
                self.unreadable = Some(error);
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Returns the problem of dynamic entries as text.
    pub(super) fn trouble(&self) -> Option<String> {
        let reading = || {
            let (left, known) = (self.unread.names.len(), self.known.len());
            let words = format!("reading dynamic entries: {left} left, {known} read");
            self.is_reading().then_some(words)
        };
        let unreadable = self.unreadable.clone().or_else(reading);
        unreadable.or_else(|| self.rejected.clone())
    }

    /// Returns as text how many entries have errors, and the first of them.
    fn rejected(&self) -> Option<String> {
        let mut refused = self.known.iter().filter_map(|(name, known)| {
            Some((String::from_utf8_lossy(name), known.reading.as_ref().err()?))
        });
        let (name, mistakes) = refused.next()?;
        let number = refused.count() + 1;
        Some(format!(
            "dynamic entries with errors: {number}, the first is {name} ({mistakes})"
        ))
    }

    /// Reads a page of entries. If `lists`, first finds out which entries to read: all that are not known, or those
    /// that apps changed.
    async fn read(&mut self, store: &impl Store, lists: bool) -> Result<(), StoreError> {
        if lists {
            self.list(store).await?;
        }
        for (name, json) in self.unread.next_page(store).await? {
            self.take(name, json);
        }
        if !self.is_reading() {
            self.end_reading();
        }
        Ok(())
    }

    /// Prepares the entries to be put in force and acknowledged, after all of them were read.
    fn end_reading(&mut self) {
        if self.in_doubt {
            self.to_merge = Some(Merge::All);
        } else if !self.changed.is_empty() {
            self.to_merge = Some(Merge::Changed);
        }
        if self.to_merge.is_some() {
            self.rejected = self.rejected();
        }
        let entries = mem::take(&mut self.notable).saturating_sub(REPORTED);
        if entries > 0 {
            self.events.emit(&Event::DynamicNotReported { entries });
        }
        let now = |name: Vec<u8>| {
            let known = self.known.get(&name);
            let json = known.map_or_else(Vec::new, |known| known.json.clone());
            (name, json)
        };
        let left = mem::take(&mut self.left).into_iter();
        self.unacknowledged.extend(left.map(now));
    }

    async fn list(&mut self, store: &impl Store) -> Result<(), StoreError> {
        self.left = store.changed_entries().await?;
        self.unacknowledged.clear();
        let mut names: BTreeSet<_> = self.left.iter().cloned().collect();
        if !self.listed {
            let there = store.dynamic_names().await?;
            let gone = |name: &&Vec<u8>| !there.contains_key(*name);
            let gone: Vec<_> = self.known.keys().filter(gone).cloned().collect();
            for name in gone {
                self.remove(name);
            }
            let is_known = |name: &Vec<u8>, found: &String| {
                let known = self.known.get(name);
                known.is_some_and(|known| digest(&known.json) == *found)
            };
            let there = there.into_iter();
            let other = there.filter(|(name, found)| !is_known(name, found));
            names = other.map(|(name, _)| name).collect();
            if !names.is_empty() {
                self.in_doubt = true;
                self.to_merge = Some(Merge::All);
            }
            self.listed = true;
        }
        self.unread = Unread::of(names);
        Ok(())
    }

    fn remove(&mut self, name: Vec<u8>) {
        self.known.remove(&name);
        self.changed.insert(name.clone());
        self.removed.insert(name);
    }

    /// Records the JSON of an entry, or `None` if Redis has no such entry.
    fn take(&mut self, name: Vec<u8>, json: Option<Vec<u8>>) {
        let known = self.known.get(&name);
        let Some(json) = json else {
            // An entry in doubt may have been in force in another term.
            if known.is_some() || self.in_doubt {
                self.remove(name);
            }
            return;
        };
        if known.is_some_and(|known| known.json == json) {
            return;
        }
        self.changed.insert(name.clone());
        // Another leader may have had a newer version in force, or have removed the entry.
        let before = known.filter(|_| self.unbroken).and_then(Known::in_force);
        let before = before.cloned();
        let (reading, warnings) = read(&name, &json, &self.context);
        if !warnings.is_empty() || !matches!(reading, Ok(Ok(_))) {
            self.notable += 1;
            if self.notable <= REPORTED {
                report_reading(&name, &reading, &warnings, &self.events);
            }
        }
        let known = Known {
            json,
            reading,
            before,
        };
        self.known.insert(name, known);
    }

    /// Merges the entries with those of the files, if any of them changed.
    fn merge(&mut self, files: Arc<Schedule>) {
        let same_files = self.files.as_ref();
        let same_files = same_files.is_some_and(|old| Arc::ptr_eq(old, &files));
        let merged = match self.to_merge.take() {
            None if same_files => return,
            Some(Merge::Changed) if same_files => {
                let over = self.changed.iter();
                let over = over.filter_map(|name| str::from_utf8(name).ok());
                let state = |name: &str| {
                    let known = self.known.get(name.as_bytes()).and_then(Known::in_force);
                    known.cloned().or_else(|| files.dynamic_state(name))
                };
                let over: Vec<_> = over.map(|name| (name, state(name))).collect();
                let over = over.iter().map(|(name, over)| (*name, over.as_ref()));
                self.merged.overridden(over)
            }
            _ => files.overridden(self.over()),
        };
        self.merged = Arc::new(merged);
        if !self.is_reading() {
            self.in_doubt = false;
            let before = self.complete.as_ref().unwrap_or(&files);
            let changes = before.changes_to(&self.merged);
            if !mem::take(&mut self.changed).is_empty() && changes != Changes::default() {
                self.events.emit(&Event::DynamicChanged(&changes));
            }
            self.complete = Some(Arc::clone(&self.merged));
        }
        self.files = Some(files);
    }

    /// Returns the dynamic entries that replace those of the files. `None` for an entry that is in doubt.
    fn over(&self) -> impl Iterator<Item = (&str, Option<&DynamicState>)> {
        let known = self.known.iter().filter_map(|(name, known)| {
            Some((str::from_utf8(name).ok()?, Some(known.in_force()?)))
        });
        let in_doubt = self.unread.names.iter().filter(|_| self.in_doubt);
        let in_doubt = in_doubt.filter_map(|name| Some((str::from_utf8(name).ok()?, None)));
        // If a name occurs twice, the later one counts.
        known.chain(in_doubt)
    }
}

//! Dynamic entries: set by apps in Redis, they stand over those of the files. The leader looks for
//! changes each second, and settles them once they are in force.
//!
//! ```text
//! mod       which entries there are, and what they make of the schedule of the files
//! unread    entries that are still to be read, page by page
//! reading   what the JSON of an entry means
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

/// How many changes are settled in one call: other clients wait while the script runs.
const BATCH: usize = 500;

/// About how many entries of one look something is reported.
const REPORTED: usize = 50;

/// What is known of one name.
struct Known {
    json: Vec<u8>,
    /// What it says, or the mistakes in it.
    reading: Result<DynamicState, String>,
    /// What it said before the mistakes were made.
    before: Option<DynamicState>,
}

impl Known {
    fn in_force(&self) -> Option<&DynamicState> {
        self.reading.as_ref().ok().or(self.before.as_ref())
    }
}

/// What is to be merged with the files.
enum Merge {
    /// Entries that changed.
    Changed,
    All,
}

/// The dynamic entries, and what they make of the schedule of the files.
pub(super) struct Dynamic {
    context: Context,
    events: Events,
    known: BTreeMap<Vec<u8>, Known>,
    /// What is wrong with entries that are known, in words. Not looked for again in each pass: they may be many.
    rejected: Option<String>,
    /// How many entries of this look there is something to report about.
    notable: usize,
    /// Whether the names of all that Redis has are known.
    listed: bool,
    /// Those that are still to be read.
    unread: Unread,
    /// While they are read, they are not in force as they were before: that was in another term.
    in_doubt: bool,
    /// Nobody else can have led since they were read before.
    unbroken: bool,
    /// Names that apps left, to be settled when they are read.
    left: Vec<Vec<u8>>,
    /// Those that are others than in `merged`.
    changed: BTreeSet<Vec<u8>>,
    /// What `merged` lacks.
    to_merge: Option<Merge>,
    /// The schedule of the files that `merged` is made of.
    files: Option<Arc<Schedule>>,
    merged: Arc<Schedule>,
    /// What `merged` was when all were read.
    complete: Option<Arc<Schedule>>,
    looked_at: DateTime<Utc>,
    /// What is in force, or will be, and is to be settled then.
    unsettled: Vec<(Vec<u8>, Vec<u8>)>,
    /// Names of entries that were removed, whether they were in force or not.
    removed: BTreeSet<Vec<u8>>,
    unreadable: Option<String>,
}

impl Dynamic {
    /// No entries yet. `context` says what they mean.
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
            unsettled: vec![],
            removed: BTreeSet::new(),
            unreadable: None,
        }
    }

    /// The schedule that is to be in force at `now`: the same one as before, unless the files or
    /// dynamic entries changed. `anew`: what Redis has may be another than we remember. `unbroken`: nobody else
    /// can have led since we read it.
    ///
    /// Entries are read a page a call ([`Self::is_reading`]), and are in force when all of them are read. Entries of
    /// the files that they may stand over wait for that.
    ///
    /// # Errors
    /// [`StoreError`], but for keys that can't be read: what is known goes on.
    pub(super) async fn look(
        &mut self,
        store: &impl Store,
        files: Arc<Schedule>,
        anew: bool,
        unbroken: bool,
        now: DateTime<Utc>,
    ) -> Result<Arc<Schedule>, StoreError> {
        self.listed &= !anew;
        let next_second = now.timestamp() != self.looked_at.timestamp();
        let lists = anew || next_second && !self.is_reading();
        if lists {
            self.unbroken = unbroken;
        }
        if lists || self.is_reading() {
            let read = self.read(store, lists).await;
            let done = self.unless_denied(read)?.is_some();
            if !done {
                (self.listed, self.unread) = (false, Unread::default());
                if mem::take(&mut self.in_doubt) {
                    // What is known goes on.
                    self.to_merge = Some(Merge::All);
                }
            } else if self.unsettled.is_empty() && !self.is_reading() {
                // Else it may be that what is in force can't be settled.
                self.unreadable = None;
            }
            self.looked_at = now;
        }
        self.merge(files);
        Ok(Arc::clone(&self.merged))
    }

    /// Whether some of them are still to be read.
    pub(super) fn is_reading(&self) -> bool {
        !self.unread.names.is_empty()
    }

    /// Whether an entry of that name may be there, though it is not in force: nothing of it must be
    /// forgotten then.
    pub(super) fn may_have(&self, name: &str) -> bool {
        let name = name.as_bytes();
        !self.listed || self.known.contains_key(name) || self.unread.names.contains(name)
    }

    /// Returns the names of entries that were removed since it was last asked.
    pub(super) fn take_removed(&mut self) -> impl Iterator<Item = String> {
        let removed = mem::take(&mut self.removed).into_iter();
        removed.filter_map(|name| String::from_utf8(name).ok())
    }

    /// Settles what is in force now.
    ///
    /// # Errors
    /// [`StoreError`]; it is settled later then.
    pub(super) async fn settle(&mut self, store: &impl Store) -> Result<(), StoreError> {
        while !self.unsettled.is_empty() {
            let batch = self.unsettled.len().saturating_sub(BATCH);
            let settled = store.ack_changes(&self.unsettled[batch..]).await;
            if self.unless_denied(settled)?.is_some() {
                self.unreadable = None;
            }
            self.unsettled.truncate(batch);
        }
        Ok(())
    }

    /// An error of these keys alone is told, and must not stop the other entries.
    fn unless_denied<T>(
        &mut self,
        outcome: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match outcome {
            Err(error) if error.is_partial() => {
                let error = error.to_string();
                if self.unreadable.as_ref() != Some(&error) {
                    self.events
                        .emit(&Event::DynamicUnreadable { error: &error });
                }
                self.unreadable = Some(error);
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// What is wrong with them, in words.
    pub(super) fn trouble(&self) -> Option<String> {
        let reading = || {
            let (left, known) = (self.unread.names.len(), self.known.len());
            let words = format!("reading dynamic entries: {left} left, {known} read");
            self.is_reading().then_some(words)
        };
        let unreadable = self.unreadable.clone().or_else(reading);
        unreadable.or_else(|| self.rejected.clone())
    }

    /// How many entries have errors, and the first of them, in words.
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

    /// Reads a page of entries; if it `lists`, after it has looked which there are to be read: all that are not
    /// known, or those whose names apps left.
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

    /// All are read: they are to be in force, and to be settled then.
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
        self.unsettled.extend(left.map(now));
    }

    async fn list(&mut self, store: &impl Store) -> Result<(), StoreError> {
        self.left = store.changed_entries().await?;
        self.unsettled.clear();
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

    /// Takes note of what Redis has of a name.
    fn take(&mut self, name: Vec<u8>, json: Option<Vec<u8>>) {
        let known = self.known.get(&name);
        let Some(json) = json else {
            // One that is in doubt may have been in force in another term.
            if known.is_some() || self.in_doubt {
                self.remove(name);
            }
            return;
        };
        if known.is_some_and(|known| known.json == json) {
            return;
        }
        self.changed.insert(name.clone());
        // Another leader may have had a newer one in force, or removed it.
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

    /// Merges the entries with those of the files, if either changed.
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

    /// What stands over the files: each name with its meaning, or with nothing if it is in doubt.
    fn over(&self) -> impl Iterator<Item = (&str, Option<&DynamicState>)> {
        let known = self.known.iter().filter_map(|(name, known)| {
            Some((str::from_utf8(name).ok()?, Some(known.in_force()?)))
        });
        let in_doubt = self.unread.names.iter().filter(|_| self.in_doubt);
        let in_doubt = in_doubt.filter_map(|name| Some((str::from_utf8(name).ok()?, None)));
        // A later one counts.
        known.chain(in_doubt)
    }
}

//! Dynamic entries: set by apps in Redis, they stand over those of the files. The leader looks for
//! changes each second, and settles them once they are in force.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use crate::{
    config::{self, AtPath, Context},
    core::{
        excerpt::excerpt,
        schedule::{Changes, Meaning, Schedule},
    },
    events::Transition,
    store::{Store, StoreError},
};

/// How many changes are settled in one call: other clients wait while the script runs.
const BATCH: usize = 500;

/// About how many entries of one look something is logged.
const LOGGED: usize = 50;

/// What is known of one name.
struct Known {
    json: Vec<u8>,
    /// What it says, or the mistakes in it.
    reading: Result<Meaning, String>,
    /// What it said before the mistakes were made.
    before: Option<Meaning>,
}

impl Known {
    fn in_force(&self) -> Option<&Meaning> {
        self.reading.as_ref().ok().or(self.before.as_ref())
    }
}

/// The dynamic entries, and what they make of the schedule of the files.
pub(super) struct Dynamic {
    context: Context,
    known: BTreeMap<Vec<u8>, Known>,
    /// What is wrong with entries that are known, in words. Not looked for again in each pass: they may be many.
    rejected: Option<String>,
    /// Whether all that Redis has of them is known.
    complete: bool,
    /// The schedule of the files that `merged` is made of.
    files: Option<Arc<Schedule>>,
    merged: Arc<Schedule>,
    looked_at: DateTime<Utc>,
    /// What is in force, or will be, and is to be settled then.
    unsettled: Vec<(Vec<u8>, Vec<u8>)>,
    /// Names of entries that were removed, whether they were in force or not.
    removed: BTreeSet<Vec<u8>>,
    unreadable: Option<String>,
}

impl Dynamic {
    /// No entries yet. `context` says what they mean.
    pub(super) fn new(context: Context) -> Self {
        Self {
            context,
            known: BTreeMap::new(),
            rejected: None,
            complete: false,
            files: None,
            merged: Arc::default(),
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
        self.complete &= !anew;
        let mut changed = BTreeSet::new();
        if anew || now.timestamp() != self.looked_at.timestamp() {
            let read = self.read(store, unbroken).await;
            if let Some(read) = self.unless_denied(read)? {
                changed = read;
                // Else it may be that what is in force can't be settled.
                if self.unsettled.is_empty() {
                    self.unreadable = None;
                }
            }
            self.looked_at = now;
        }
        let same_files = self.files.as_ref();
        let same_files = same_files.is_some_and(|old| Arc::ptr_eq(old, &files));
        if !changed.is_empty() || !same_files {
            self.merge(files, same_files, &changed);
        }
        Ok(Arc::clone(&self.merged))
    }

    /// Whether an entry of that name may be there, though it is not in force: nothing of it must be
    /// forgotten then.
    pub(super) fn may_have(&self, name: &str) -> bool {
        !self.complete || self.known.contains_key(name.as_bytes())
    }

    /// Returns the names of entries that were removed since it was last asked.
    pub(super) fn take_removed(&mut self) -> impl Iterator<Item = String> {
        let removed = std::mem::take(&mut self.removed).into_iter();
        removed.filter_map(|name| String::from_utf8(name).ok())
    }

    /// Settles what is in force now.
    ///
    /// # Errors
    /// [`StoreError`]; it is settled later then.
    pub(super) async fn settle(&mut self, store: &impl Store) -> Result<(), StoreError> {
        while !self.unsettled.is_empty() {
            let batch = self.unsettled.len().saturating_sub(BATCH);
            let settled = store.settle_changes(&self.unsettled[batch..]).await;
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
                    Transition::DynamicUnreadable { error: &error }.emit();
                }
                self.unreadable = Some(error);
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// What is wrong with them, in words.
    pub(super) fn trouble(&self) -> Option<String> {
        self.unreadable.clone().or_else(|| self.rejected.clone())
    }

    /// How many entries have errors, and the first of them, in words.
    fn rejected(&self) -> Option<String> {
        let mut refused = self.known.iter().filter_map(|(name, known)| {
            Some((String::from_utf8_lossy(name), known.reading.as_ref().err()?))
        });
        let (name, mistakes) = refused.next()?;
        let number = refused.count() + 1;
        Some(format!(
            "dynamic entries with mistakes: {number}, the first is {name} ({mistakes})"
        ))
    }

    /// Reads what changed: all entries if not all of them are known, else those whose names apps left. Returns
    /// the names of those that are others now.
    async fn read(
        &mut self,
        store: &impl Store,
        unbroken: bool,
    ) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        let names = store.changed_entries().await?;
        let mut changed = BTreeSet::new();
        let entries = if !self.complete {
            let entries = store.dynamic_entries().await?;
            let gone = |name: &Vec<u8>| !entries.contains_key(name);
            changed.extend(self.known.keys().filter(|name| gone(name)).cloned());
            entries
        } else if names.is_empty() {
            return Ok(changed);
        } else {
            let entries = store.dynamic_entries_of(&names).await?;
            let gone =
                |name: &&Vec<u8>| self.known.contains_key(*name) && !entries.contains_key(*name);
            changed.extend(names.iter().filter(gone).cloned());
            entries
        };
        self.complete = true;
        let now = |name: Vec<u8>| {
            let json = entries.get(&name).cloned().unwrap_or_default();
            (name, json)
        };
        self.unsettled = names.into_iter().map(now).collect();
        for name in &changed {
            self.known.remove(name);
        }
        self.removed.extend(changed.iter().cloned());
        let mut notable: usize = 0;
        for (name, json) in entries {
            let known = self.known.get(&name);
            if known.is_some_and(|known| known.json == json) {
                continue;
            }
            // Another leader may have had a newer one in force, or removed it.
            let before = known.filter(|_| unbroken).and_then(Known::in_force);
            let before = before.cloned();
            let (reading, warnings) = read(&name, &json, &self.context);
            if !warnings.is_empty() || !matches!(reading, Ok(Ok(_))) {
                notable += 1;
                if notable <= LOGGED {
                    log_reading(&name, &reading, &warnings);
                }
            }
            let known = Known {
                json,
                reading,
                before,
            };
            changed.insert(name.clone());
            self.known.insert(name, known);
        }
        self.rejected = self.rejected();
        let entries = notable.saturating_sub(LOGGED);
        if entries > 0 {
            Transition::DynamicNotLogged { entries }.emit();
        }
        Ok(changed)
    }

    /// Merges the entries with those of the files; only those of the given names if the files are the
    /// same as before.
    fn merge(&mut self, files: Arc<Schedule>, same_files: bool, names: &BTreeSet<Vec<u8>>) {
        let merged = if same_files {
            let over = names.iter().filter_map(|name| str::from_utf8(name).ok());
            let meaning = |name: &str| {
                let known = self.known.get(name.as_bytes()).and_then(Known::in_force);
                known.cloned().or_else(|| files.meaning(name))
            };
            let over: Vec<_> = over.map(|name| (name, meaning(name))).collect();
            let over = over.iter().map(|(name, over)| (*name, over.as_ref()));
            self.merged.overridden(over)
        } else {
            files.overridden(self.known.iter().filter_map(|(name, known)| {
                Some((str::from_utf8(name).ok()?, Some(known.in_force()?)))
            }))
        };
        let changes = match &self.files {
            Some(_) => self.merged.changes_to(&merged),
            None => files.changes_to(&merged),
        };
        if !names.is_empty() && changes != Changes::default() {
            Transition::DynamicChanged(&changes).emit();
        }
        self.files = Some(files);
        self.merged = Arc::new(merged);
    }
}

/// The schedule that a leader would have in force, with these files.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn merged(
    store: &impl Store,
    files: &Schedule,
    context: &Context,
) -> Result<Schedule, StoreError> {
    let entries = store.dynamic_entries().await?;
    let meanings = entries.iter().filter_map(|(name, json)| {
        Some((
            str::from_utf8(name).ok()?,
            read(name, json, context).0.ok()?,
        ))
    });
    let over: Vec<_> = meanings.collect();
    Ok(files.overridden(over.iter().map(|(name, over)| (*name, Some(over)))))
}

/// Reads an entry; and what it says in vain.
fn read(name: &[u8], json: &[u8], context: &Context) -> (Result<Meaning, String>, Vec<String>) {
    let (Ok(name), Ok(json)) = (str::from_utf8(name), str::from_utf8(json)) else {
        return (Err("$: not UTF-8 text".to_owned()), vec![]);
    };
    let shown = |found: &AtPath| excerpt(&found.to_string()).into_owned();
    let shown = |found: &[AtPath]| found.iter().map(shown).collect::<Vec<_>>();
    match config::dynamic_entry(name, json, context) {
        Ok(read) => (Ok(read.entry), shown(&read.warnings)),
        Err(mistakes) => (Err(shown(&mistakes).join("; ")), vec![]),
    }
}

/// Logs what is to be said about an entry.
fn log_reading(name: &[u8], reading: &Result<Meaning, String>, warnings: &[String]) {
    let name = String::from_utf8_lossy(name);
    let entry = &excerpt(&name);
    match reading {
        Err(mistakes) => Transition::DynamicRefused { entry, mistakes }.emit(),
        Ok(Err(left_out)) => {
            let why = &left_out.why.to_string();
            Transition::DynamicLeftOut { entry, why }.emit();
        }
        Ok(Ok(_)) => {}
    }
    for warning in warnings {
        Transition::DynamicWarning { entry, warning }.emit();
    }
}

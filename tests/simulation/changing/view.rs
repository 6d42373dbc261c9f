//! What a process knows about the schedule, and which requests it may therefore send.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use rescue_scheduler::store::RecordChange;
use tokio::time::Instant;

use super::{
    super::{laws::judge_shot, model::Shot, world::now},
    laws::Courses,
    versions::{Files, Versions, of_payload},
};

/// What a process knows about the schedule.
#[derive(Debug, Clone)]
pub struct View {
    /// Whether the process runs with `--once`.
    pub once: bool,
    /// Whether the process runs with `--dynamic`.
    pub dynamic: bool,
    pub files: Files,
    /// Former versions of the files, and when each was replaced.
    replaced: Vec<(Files, Instant)>,
    pub loaded_at: Instant,
    /// The JSON of each dynamic entry, as it was last read.
    pub read: BTreeMap<Vec<u8>, Vec<u8>>,
    /// For each dynamic entry, the version without errors that was read last.
    known: BTreeMap<String, usize>,
    /// The same for entries that had an error when all entries were read. Another leader may have replaced that
    /// version.
    unsure: BTreeMap<String, usize>,
    /// Names of dynamic entries that changed while the process may not have been the leader. They are not in force
    /// until they are read.
    in_doubt: BTreeSet<Vec<u8>>,
}

impl View {
    pub fn new(files: Files, once: bool, dynamic: bool) -> Self {
        Self {
            once,
            dynamic,
            files,
            replaced: vec![],
            loaded_at: now(),
            read: BTreeMap::new(),
            known: BTreeMap::new(),
            unsure: BTreeMap::new(),
            in_doubt: BTreeSet::new(),
        }
    }

    /// Replaces the files.
    pub fn load(&mut self, files: Files) {
        let before = std::mem::replace(&mut self.files, files);
        self.loaded_at = now();
        self.replaced.push((before, self.loaded_at));
    }

    /// Records that the process now knows which of the dynamic entries it has read in their current version.
    pub fn note_listed(&mut self, entries: &BTreeMap<Vec<u8>, Vec<u8>>) {
        self.forget(|name| !entries.contains_key(name));
        let other = |(name, json): &(&Vec<u8>, &Vec<u8>)| self.read.get(*name) != Some(*json);
        let in_doubt = entries.iter().filter(other);
        self.in_doubt = in_doubt.map(|(name, _)| name.clone()).collect();
    }

    fn forget(&mut self, gone: impl Fn(&[u8]) -> bool) {
        self.read.retain(|name, _| !gone(name));
        self.known.retain(|name, _| !gone(name.as_bytes()));
        self.unsure.retain(|name, _| !gone(name.as_bytes()));
    }

    /// Records that the process read the dynamic entries of these names. An entry with an error does not replace
    /// its previous version.
    pub fn note_read(
        &mut self,
        names: &[Vec<u8>],
        entries: &BTreeMap<Vec<u8>, Vec<u8>>,
        versions: &Versions,
    ) {
        let asked_for = |name: &[u8]| names.iter().any(|it| it == name);
        self.forget(|name| asked_for(name) && !entries.contains_key(name));
        for (name, json) in entries {
            let text = String::from_utf8(name.clone()).unwrap();
            if let Some(version) = versions.of_json(json) {
                self.unsure.remove(&text);
                self.known.insert(text, version);
            } else if self.in_doubt.contains(name)
                && self.read.get(name) != Some(json)
                && let Some(version) = self.known.remove(&text)
            {
                self.unsure.insert(text, version);
            }
            self.read.insert(name.clone(), json.clone());
        }
        self.in_doubt.retain(|name| !asked_for(name));
    }

    /// Returns the version of each entry that certainly is, or will be, in force.
    pub fn in_force(&self) -> Files {
        let mut all = self.files.clone();
        all.extend(self.known.clone());
        let in_doubt = |name: &str| self.in_doubt.contains(name.as_bytes());
        all.retain(|name, _| !self.unsure.contains_key(name) && !in_doubt(name));
        all
    }

    /// Returns the version of an entry that is, or will be, in force.
    pub fn version(&self, name: &str) -> Option<usize> {
        self.known.get(name).or(self.files.get(name)).copied()
    }

    /// Returns the versions of an entry that may be in force. `None` means that it may not be in force. Former
    /// versions of the files count for a while.
    fn versions_of(&self, name: &str, patience: Duration) -> Vec<Option<usize>> {
        if self.in_doubt.contains(name.as_bytes()) {
            return vec![None];
        }
        let of = |files: &Files| self.known.get(name).or(files.get(name)).copied();
        let replaced = self.replaced.iter();
        let replaced = replaced.filter(|(_, at)| now() < *at + patience);
        let replaced = replaced.map(|(files, _)| of(files));
        let unsure = self.unsure.get(name).map(|version| Some(*version));
        replaced.chain([of(&self.files)]).chain(unsure).collect()
    }

    /// Checks that fires are not early and are of versions in force. `leads`: whether the knowledge of the
    /// process is up to date; only then are the versions checked.
    pub fn judge_fires(
        &self,
        shots: &[Shot],
        leads: bool,
        now: DateTime<Utc>,
        courses: &Courses,
        versions: &Versions,
        patience: Duration,
    ) -> Result<(), String> {
        for shot in shots {
            let name = &shot.name;
            let (version, _) = of_payload(&shot.payload).ok_or("a job without a version")?;
            let entry = versions.get(version).entry.as_ref();
            judge_shot(entry.ok_or("a version with an error")?, shot, now)?;
            if leads {
                let allowed = self.versions_of(name, patience);
                if !allowed.contains(&Some(version)) {
                    return Err(format!(
                        "{name} fires in version {version}, not {allowed:?}"
                    ));
                }
                courses.judge_version(name, version, versions)?;
            }
        }
        Ok(())
    }

    /// Checks that only entries that are not in the schedule are recorded as left, and only entries in it as
    /// returned. `--once` records none as left.
    pub fn judge_changes(
        &self,
        changes: &[RecordChange],
        patience: Duration,
    ) -> Result<(), String> {
        for change in changes {
            let lawful = match change {
                RecordChange::Left { name, .. } => self.lacks(name, patience),
                RecordChange::First { name, .. }
                | RecordChange::Returned { name, .. }
                | RecordChange::Reworded { name, .. } => {
                    let versions = self.versions_of(name, patience);
                    versions.iter().any(Option::is_some)
                }
            };
            if !lawful {
                return Err(format!("{change:?}, against {self:?}"));
            }
        }
        Ok(())
    }

    /// Checks that only entries that are not in the schedule are forgotten, and none with `--once`.
    pub fn judge_forget(
        &self,
        entries: &[(String, i64)],
        patience: Duration,
    ) -> Result<(), String> {
        let present = |(name, _): &&(String, i64)| !self.lacks(name, patience);
        match entries.iter().find(present) {
            Some((name, _)) => Err(format!("{name} is forgotten, against {self:?}")),
            None => Ok(()),
        }
    }

    /// Whether the process may record that an entry is not in its schedule. It may not for a dynamic entry that has
    /// an error or is in doubt.
    fn lacks(&self, name: &str, patience: Duration) -> bool {
        let name_of = name.as_bytes();
        let may_have = self.read.contains_key(name_of) || self.in_doubt.contains(name_of);
        !(self.once || self.dynamic && may_have) && self.versions_of(name, patience).contains(&None)
    }

    /// Checks that only changes that were read are acknowledged.
    pub fn judge_settle(&self, changes: &[(Vec<u8>, Vec<u8>)]) -> Result<(), String> {
        for (name, json) in changes {
            let read = self.read.get(name).map_or(&b""[..], Vec::as_slice);
            if read != json {
                let name = String::from_utf8_lossy(name);
                return Err(format!("{name} is acknowledged, though it was not read"));
            }
        }
        Ok(())
    }
}

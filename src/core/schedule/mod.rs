//! The schedule: all entries by name, and the differences between two schedules.

pub mod entry;
pub mod overlap;

use std::{collections::BTreeMap, fmt, iter, mem, sync::Arc};

use crate::core::{schedule::entry::Entry, suggestion::nearest};

/// All entries in the order of their names. Names are unique.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schedule {
    /// Sorted by name. A map would store every name twice.
    entries: Vec<Arc<Entry>>,
    left_out: Vec<LeftOut>,
    digest: String,
}

/// The state of an entry's name: the entry, or why it is left out.
pub type DynamicState = Result<Arc<Entry>, LeftOut>;

/// An entry of the files that is not in the schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The entry's name.
    pub name: String,
    /// Why the entry is left out.
    pub reason: LeftOutReason,
}

/// Why an entry of the files is not in the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOutReason {
    /// The entry is for other environments.
    Environment,
    /// The entry is not enabled.
    Disabled,
    /// The entry never fires and names no queue, such as a YAML anchor that other entries merge.
    NoQueue,
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "for another environment",
            Self::Disabled => "not enabled",
            Self::NoQueue => "never fires and names no queue",
        })
    }
}

/// The names of the entries that a reload changes, each list in the order of the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Entries that are only in the new schedule.
    pub added: Vec<String>,
    /// Entries that are in both schedules, but differ.
    pub changed: Vec<String>,
    /// Entries that are only in the old schedule.
    pub removed: Vec<String>,
}

impl Changes {
    /// Returns the number of entries that change.
    pub fn len(&self) -> usize {
        self.added.len() + self.changed.len() + self.removed.len()
    }

    /// Whether no entry changes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a difference. Returns whether it is a change.
    pub fn add(&mut self, difference: &Difference<'_>) -> bool {
        let (changes, entry) = match difference {
            Difference::None(_) => return false,
            Difference::Added(entry) => (&mut self.added, entry),
            Difference::Changed(entry) => (&mut self.changed, entry),
            Difference::Removed(entry) => (&mut self.removed, entry),
        };
        changes.push(entry.name.clone());
        true
    }
}

/// The difference between two schedules for one entry.
#[derive(Debug, Clone, Copy)]
pub enum Difference<'a> {
    /// The same entry is in both schedules.
    None(&'a Entry),
    /// The entry is only in the new schedule.
    Added(&'a Entry),
    /// The entry is in both schedules, but differs. Holds the new one.
    Changed(&'a Entry),
    /// The entry is only in the old schedule.
    Removed(&'a Entry),
}

impl<'a> Difference<'a> {
    /// Returns the name of the entry.
    pub fn name(&self) -> &'a str {
        let (Self::None(entry) | Self::Added(entry) | Self::Changed(entry) | Self::Removed(entry)) =
            self;
        &entry.name
    }
}

impl Schedule {
    /// Returns this schedule with the digest of its source texts.
    #[must_use]
    pub fn with_digest(self, digest: String) -> Self {
        Self { digest, ..self }
    }

    /// Returns the digest of the texts that this schedule was read from; empty if there are none.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the entry with this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Entry>> {
        self.find(name).map(|(_, entry)| entry)
    }

    /// Returns the entry with this name, and its index in [`Self::entries`].
    pub fn find(&self, name: &str) -> Option<(usize, &Arc<Entry>)> {
        let found = self
            .entries
            .binary_search_by(|it| it.name.as_str().cmp(name));
        found.ok().map(|index| (index, &self.entries[index]))
    }

    /// Returns the name that the user may have meant by `name`, of an entry in the schedule or left out of it.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let entries = self.entries.iter().map(|entry| entry.name.as_str());
        nearest(
            name,
            entries.chain(self.left_out.iter().map(|it| &*it.name)),
        )
    }

    /// Returns all entries in the order of their names.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Arc<Entry>> {
        self.entries.iter()
    }

    /// Returns all entries in the order of their names, and drops the rest of the schedule.
    pub fn into_entries(self) -> impl Iterator<Item = Arc<Entry>> {
        self.entries.into_iter()
    }

    /// Returns this schedule with the entries of its files that are left out.
    #[must_use]
    pub fn with_left_out(self, mut left_out: Vec<LeftOut>) -> Self {
        left_out.sort_by(|one, other| one.name.cmp(&other.name));
        Self { left_out, ..self }
    }

    /// Returns the entry called `name`, or why it is left out; `None` if no entry has this name.
    pub fn dynamic_state(&self, name: &str) -> Option<DynamicState> {
        let left_out = || {
            let found = self
                .left_out
                .binary_search_by(|it| it.name.as_str().cmp(name));
            found.ok().map(|index| Err(self.left_out[index].clone()))
        };
        self.get(name).cloned().map(Ok).or_else(left_out)
    }

    /// Returns the entries of the files that are not in the schedule.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Returns this schedule with every name in `over` replaced by its state there; `None` removes the name.
    #[must_use]
    pub fn overridden<'a>(
        &self,
        over: impl IntoIterator<Item = (&'a str, Option<&'a DynamicState>)>,
    ) -> Self {
        let over: BTreeMap<&str, Option<&DynamicState>> = over.into_iter().collect();
        let ours = |name: &str| !over.contains_key(name);
        let entries = self.entries.iter().filter(|it| ours(&it.name));
        let left_out = self.left_out.iter().filter(|it| ours(&it.name));
        let theirs = || over.values().copied().flatten();
        let entries = entries.chain(theirs().filter_map(|it| it.as_ref().ok()));
        let left_out = left_out.chain(theirs().filter_map(|it| it.as_ref().err()));
        Self::from(entries.cloned().collect::<Vec<_>>()).with_left_out(left_out.cloned().collect())
    }

    /// Returns the changes from this schedule to `new`.
    pub fn changes_to(&self, new: &Self) -> Changes {
        let mut changes = Changes::default();
        for difference in self.differences(new) {
            changes.add(&difference);
        }
        changes
    }

    /// Returns one difference for every entry of this schedule or of `new`, in the order of the names.
    pub fn differences<'a>(&'a self, new: &'a Self) -> impl Iterator<Item = Difference<'a>> {
        let (mut old, mut new) = (
            self.entries.iter().peekable(),
            new.entries.iter().peekable(),
        );
        iter::from_fn(move || {
            let Some(entry) = new.peek() else {
                return old.next().map(|it| Difference::Removed(it));
            };
            if let Some(removed) = old.next_if(|it| it.name < entry.name) {
                return Some(Difference::Removed(removed));
            }
            let entry = new.next()?;
            Some(match old.next_if(|it| it.name == entry.name) {
                None => Difference::Added(entry),
                // Unchanged entries usually share their allocation, which is cheap to compare.
                Some(before) if Arc::ptr_eq(before, entry) || before == entry => {
                    Difference::None(entry)
                }
                Some(_) => Difference::Changed(entry),
            })
        })
    }

    /// Returns this schedule with its entries up to `name`, inclusive, replaced by those of `new`.
    #[must_use]
    pub fn replaced_up_to(&self, name: &str, new: &Self) -> Self {
        let end = |of: &Self| of.entries.partition_point(|it| it.name.as_str() <= name);
        let ours = &self.entries[end(self)..];
        Self {
            digest: new.digest.clone(),
            entries: [&new.entries[..end(new)], ours].concat(),
            left_out: new.left_out.clone(),
        }
    }
}

/// A later entry replaces an earlier entry of the same name. `config` refuses files with duplicate names before that.
impl From<Vec<Arc<Entry>>> for Schedule {
    fn from(mut entries: Vec<Arc<Entry>>) -> Self {
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        entries.dedup_by(|later, kept| {
            let same = later.name == kept.name;
            if same {
                mem::swap(later, kept);
            }
            same
        });
        Self {
            digest: String::new(),
            entries,
            left_out: vec![],
        }
    }
}

/// A later entry replaces an earlier entry of the same name.
impl FromIterator<Entry> for Schedule {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let entries: Vec<_> = entries.into_iter().map(Arc::new).collect();
        entries.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{
        job::Job,
        time::{
            timing::{Recurrence, Timing},
            zone::Zone,
        },
    };

    fn schedule(entries: &[(&str, &str)]) -> Schedule {
        let entry = |&(name, class): &(&str, &str)| Entry {
            name: name.into(),
            timing: Timing::of(Recurrence::Manual),
            zone: Zone::UTC,
            job: Job::new(class, "q", "[]", false),
            catch_up: crate::core::schedule::entry::CatchUp::default(),
            guard: crate::core::schedule::overlap::Guard::default(),
            description: None,
            origin: crate::core::schedule::entry::Origin::Dynamic,
        };
        entries.iter().map(entry).collect()
    }

    #[test]
    fn a_misspelled_name_has_a_suggestion() {
        let schedule = schedule(&[("nightly_report", "A"), ("nightly_sweep", "B")]);
        assert_eq!(schedule.nearest("nigthly_reprot"), Some("nightly_report"));
        assert_eq!(schedule.nearest("invoices"), None);
        assert_eq!(Schedule::default().nearest("invoices"), None);
    }

    #[test]
    fn an_entry_that_moves_to_another_line_has_not_changed() {
        let at = |line| {
            let mut entry = Arc::unwrap_or_clone(schedule(&[("a", "A")]).entries[0].clone());
            let file = "a.toml".into();
            entry.origin = crate::core::schedule::entry::Origin::File { file, line };
            Schedule::from_iter([entry])
        };
        assert_eq!(at(1).changes_to(&at(2)), Changes::default());
        assert_eq!(at(2).entries[0].origin.to_string(), "a.toml:2");
    }

    #[test]
    fn changes_list_added_changed_and_removed_entries() {
        let old = schedule(&[("a", "A"), ("b", "B"), ("c", "C")]);
        let new = schedule(&[("b", "B"), ("c", "X"), ("d", "D")]);
        let changes = Changes {
            added: vec!["d".into()],
            changed: vec!["c".into()],
            removed: vec!["a".into()],
        };
        assert_eq!(old.changes_to(&new), changes);
        assert_eq!(old.changes_to(&old), Changes::default());
        let names = |it: &Schedule| it.entries().map(|it| it.name.clone()).collect::<String>();
        let half = old.replaced_up_to("c", &new);
        assert_eq!(names(&half), "bc");
        assert_eq!(half.changes_to(&new).added, ["d"]);
        assert_eq!(half.changes_to(&new).changed, [""; 0]);
    }
}

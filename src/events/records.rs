//! What became of the records of entries, and how lists of names are logged.

use tracing::{info, warn};

/// What became of the records of entries in Redis.
#[derive(Debug)]
pub enum RecordEvent<'a> {
    /// They hold what no scheduler can have written.
    Ignored {
        /// Key and name of each.
        records: &'a [String],
    },
    /// Entries that have records are not in the schedule any more.
    Left {
        /// Their names.
        entries: &'a [&'a str],
    },
    /// Redis has lost the last fire times of entries, and has other records of them.
    Lost {
        /// The key that had them.
        key: &'a str,
        /// The names of the entries.
        entries: &'a [&'a String],
    },
    /// The records of entries that left the schedule a day ago are removed.
    Removed {
        /// Their names.
        entries: &'a [String],
    },
}

impl RecordEvent<'_> {
    /// Writes its log line.
    pub fn emit(&self) {
        match self {
            Self::Ignored { records } => warn!(
                records = listed(records),
                "records of entries make no sense; ignoring them, remove their fields"
            ),
            Self::Lost { key, entries } => warn!(
                count = entries.len(),
                entries = listed(entries),
                key,
                "Redis lost the last fire times of entries; continuing from other records, set its \
                 maxmemory-policy to noeviction if it evicts keys"
            ),
            Self::Left { entries } => info!(
                count = entries.len(),
                entries = listed(entries),
                "entries left the schedule; removing their records in a day unless they return"
            ),
            Self::Removed { entries } => info!(
                count = entries.len(),
                entries = listed(entries),
                "removed the records of entries that left the schedule"
            ),
        }
    }
}

/// How many names of entries a log line lists, and how many characters of each.
const LISTED: usize = 20;
const NAME: usize = 100;

/// Returns names as logs list them: the first ones, and how many more there are.
pub(super) fn listed(names: &[impl AsRef<str>]) -> String {
    let cut = |name: &str| match name.char_indices().nth(NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    };
    let first = names.iter().take(LISTED).map(|name| cut(name.as_ref()));
    let list = first.collect::<Vec<_>>().join(" ");
    match names.len().saturating_sub(LISTED) {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_in_a_log_line_is_bounded() {
        assert_eq!(listed(&["a", "b"]), "a b");
        let names = vec!["é".repeat(1_000); 100_000];
        let list = listed(&names);
        assert!(list.ends_with("é… and 99980 more"), "{list}");
        assert!(list.chars().count() < 2_100);
    }
}

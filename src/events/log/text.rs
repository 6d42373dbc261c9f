//! Formats values for the log.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};

/// Maximum number of entry names in a log line, and of characters of each name.
const LISTED: usize = 20;
const NAME: usize = 100;

/// Returns names as logs list them: the first ones, and the number of the others.
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

/// Returns the first counts as logs list them: `mail=3 low=2`.
pub(super) fn counted(counts: &BTreeMap<String, usize>) -> String {
    let pairs = counts.iter().map(|(name, count)| format!("{name}={count}"));
    listed(&pairs.collect::<Vec<_>>())
}

/// Returns an instant as logs show it: RFC 3339, UTC, whole seconds.
pub(super) fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
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

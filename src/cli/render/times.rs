//! Formats times in words.

use chrono::{DateTime, Utc};

use crate::core::{firing::upcoming::in_words, time::duration::words};

/// Returns `in 3 h 12 m`, or `now`.
pub(in crate::cli) fn until(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    in_words(at, now)
}

/// Returns `3 h 12 m ago`, or `just now`.
pub(in crate::cli) fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    words(now - at).map_or_else(|| "just now".to_owned(), |words| format!("{words} ago"))
}

/// Returns the time since `at`, such as `3 h 12 m`.
pub(in crate::cli) fn since(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    words(now - at).unwrap_or_else(|| "0 s".to_owned())
}

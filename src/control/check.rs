//! What is in schedule files: entries, errors and warnings.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    config::{Diagnostic, Loaded, Mistakes, Place},
    core::{firing::upcoming::fires, schedule::entry::Entry, time::instant::rfc3339},
};

/// What is in schedule files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The entries that are loaded, by name; none if there is an error.
    pub entries: Vec<CheckedEntry>,
    /// The entries that are left out.
    pub left_out: Vec<LeftOutEntry>,
    /// The errors, with which no scheduler starts.
    pub errors: Vec<Remark>,
    /// The warnings.
    pub warnings: Vec<Remark>,
}

/// An entry of a schedule file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedEntry {
    /// Its name.
    pub name: String,
    /// Name of the Ruby class.
    pub class: String,
    /// Name of the queue.
    pub queue: String,
    /// Its timing, for people.
    pub timing: String,
    /// The time zone in which people read its times.
    pub timezone: String,
    /// Where it is: `file:line`.
    pub source: String,
    /// Its next fire, as if it were first seen now. RFC 3339, UTC.
    pub next: Option<String>,
}

/// An entry that is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOutEntry {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// An error or a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// Where: `file:line:column`.
    pub place: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Returns what is in schedule files that were loaded at `now`, or why they cannot be.
pub fn check(loaded: &Result<Loaded, Mistakes>, now: DateTime<Utc>) -> Checked {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            let warnings = mistakes.diagnostics().iter();
            return Checked {
                errors: mistakes.mistakes().map(Remark::from).collect(),
                warnings: warnings
                    .filter(|it| it.mistake.is_warning())
                    .map(Remark::from)
                    .collect(),
                ..Checked::default()
            };
        }
    };
    let entry = |entry: &Arc<Entry>| CheckedEntry {
        name: entry.name.clone(),
        class: entry.job.class().to_owned(),
        queue: entry.job.queue().to_owned(),
        timing: entry.timing.to_string(),
        timezone: entry.zone.to_string(),
        source: entry.origin.to_string(),
        next: fires(entry, now).next().map(rfc3339),
    };
    let left_out = loaded.schedule.left_out().iter();
    let left_out = left_out.map(|it| LeftOutEntry {
        name: it.name.clone(),
        reason: it.reason.to_string(),
    });
    Checked {
        entries: loaded.schedule.entries().map(entry).collect(),
        left_out: left_out.collect(),
        errors: vec![],
        warnings: loaded.warnings.iter().map(Remark::from).collect(),
    }
}

impl From<&Diagnostic> for Remark {
    fn from(found: &Diagnostic) -> Self {
        Self {
            place: found.places.first().map(Place::position),
            message: found.message(),
            help: found.help(),
        }
    }
}

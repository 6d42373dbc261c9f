//! The result of reading one schedule file.

use std::{borrow::Cow, sync::Arc};

use crate::{
    config::{
        read::value::Located,
        report::{
            diagnostic::Diagnostic,
            source::{Place, Source},
        },
    },
    core::schedule::{LeftOut, entry::Entry},
};

/// The entries, errors and warnings of a file.
#[derive(Default)]
pub(in crate::config) struct FileContents {
    /// Whether there is no other file, so that no name can be in two files.
    pub(in crate::config) alone: bool,
    /// The names of all entries and their positions. Empty if the file is alone, to save memory.
    pub(in crate::config) names: Vec<(String, Place)>,
    /// The entries that are loaded.
    pub(in crate::config) entries: Vec<Arc<Entry>>,
    /// The entries that are left out.
    pub(in crate::config) left_out: Vec<LeftOut>,
    /// All errors and warnings, from top to bottom.
    pub(in crate::config) mistakes: Vec<Diagnostic>,
}

impl FileContents {
    pub(in crate::config) fn name(&mut self, name: &Located<Cow<'_, str>>, source: &Source) {
        if self.alone {
            return;
        }
        let place = Place {
            source: source.clone(),
            span: Some(name.span()),
        };
        self.names.push((name.get_ref().to_string(), place));
    }

    pub(in crate::config) fn entry(&mut self, entry: Option<Result<Entry, LeftOut>>) {
        match entry {
            Some(Ok(entry)) => self.entries.push(Arc::new(entry)),
            Some(Err(left_out)) => self.left_out.push(left_out),
            None => {}
        }
    }
}

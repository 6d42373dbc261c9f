//! What a schedule file comes to.

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

/// What a file holds.
#[derive(Default)]
pub(in crate::config) struct FileContents {
    /// There is no other file, in which a name could stand again.
    pub(in crate::config) alone: bool,
    /// Every name of an entry, and where it stands; of one that is alone they are not wanted, and of many
    /// entries they are much.
    pub(in crate::config) names: Vec<(String, Place)>,
    /// The entries that are loaded.
    pub(in crate::config) entries: Vec<Arc<Entry>>,
    /// Those that are not.
    pub(in crate::config) left_out: Vec<LeftOut>,
    /// All mistakes, from top to bottom.
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

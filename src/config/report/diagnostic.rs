//! Errors and warnings with their positions in schedule files.

use std::ops::Range;

use crate::config::report::{
    mistake::Mistake,
    source::{Place, Source, boundary},
};

/// The maximum number of errors and warnings that are shown.
const SHOWN: usize = 50;

/// An error or a warning and its position. Displayed with the lines of the file and carets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The error or warning.
    pub mistake: Mistake,
    /// The positions. There are several if the error is a conflict between them.
    pub places: Vec<Place>,
}

impl Diagnostic {
    /// Creates a diagnostic at `span` of the file, or for the whole file if `span` is `None`.
    pub(in crate::config) fn new(
        source: &Source,
        span: Option<Range<usize>>,
        mistake: Mistake,
    ) -> Self {
        let source = source.clone();
        Self {
            mistake,
            places: vec![Place { source, span }],
        }
    }

    /// Returns the message, cut if it is long.
    pub fn message(&self) -> String {
        cut(self.mistake.to_string())
    }

    /// Returns the help text, cut if it is long.
    pub fn help(&self) -> Option<String> {
        self.mistake.help().map(cut)
    }
}

/// All errors and warnings of a schedule, with at least one error. Displayed as the whole message to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    diagnostics: Vec<Diagnostic>,
}

impl Mistakes {
    pub(in crate::config) fn new(diagnostics: Vec<Diagnostic>) -> Self {
        debug_assert!(!diagnostics.is_empty());
        Self { diagnostics }
    }

    /// Returns all errors and warnings.
    ///
    /// First are files that cannot be read, then the errors and warnings of each file from top to bottom, then conflicts
    /// between files.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Returns the errors and warnings to show, and how many more there are. Errors have priority over warnings.
    pub fn shown(&self) -> (impl Iterator<Item = &Diagnostic>, usize) {
        first(&self.diagnostics)
    }

    /// Returns only the errors, without the warnings.
    pub fn mistakes(&self) -> impl Iterator<Item = &Diagnostic> + Clone {
        let found = self.diagnostics.iter();
        found.filter(|found| !found.mistake.is_warning())
    }

    pub(in crate::config) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}

/// Returns the first diagnostics in their order, and how many more there are.
///
/// If there are too many, errors have priority over warnings.
pub(in crate::config) fn first(found: &[Diagnostic]) -> (impl Iterator<Item = &Diagnostic>, usize) {
    let is_mistake = |it: &&Diagnostic| !it.mistake.is_warning();
    let (mut mistakes, all) = (SHOWN, found.iter().filter(is_mistake).count());
    let mut warnings = SHOWN.saturating_sub(all);
    let shown = found.iter().filter(move |found| {
        let left = if found.mistake.is_warning() {
            &mut warnings
        } else {
            &mut mistakes
        };
        let is_shown = *left > 0;
        *left = left.saturating_sub(1);
        is_shown
    });
    (shown, found.len().saturating_sub(SHOWN))
}

/// Cuts a text to 1,000 bytes, because it may contain a key or a value of any length.
fn cut(mut text: String) -> String {
    if text.len() > 1_000 {
        text.truncate(boundary(&text, 1_000));
        text.push('…');
    }
    text
}

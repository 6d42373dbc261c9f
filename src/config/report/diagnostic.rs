//! Mistakes in schedule files, with their places.

use std::ops::Range;

use crate::config::report::{
    mistake::Mistake,
    source::{Place, Source, boundary},
};

/// How many mistakes are shown.
const SHOWN: usize = 50;

/// A mistake, and where it was made. Displayed, it shows the lines with carets under the mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub mistake: Mistake,
    /// Where; several only if it takes several to make the mistake.
    pub places: Vec<Place>,
}

impl Diagnostic {
    /// Returns the mistake at `span` of the file, or of the file as a whole.
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

    /// Returns what is wrong, in words; a long text is cut.
    pub fn message(&self) -> String {
        cut(self.mistake.to_string())
    }

    /// Returns how to mend it; a long text is cut.
    pub fn help(&self) -> Option<String> {
        self.mistake.help().map(cut)
    }
}

/// All mistakes of a schedule, at least one. Displayed, it is the whole message to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    diagnostics: Vec<Diagnostic>,
}

impl Mistakes {
    pub(in crate::config) fn new(diagnostics: Vec<Diagnostic>) -> Self {
        debug_assert!(!diagnostics.is_empty());
        Self { diagnostics }
    }

    /// The mistakes, and warnings beside them: first the files that can't be read, then file by file from top to bottom, then
    /// those between files.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Returns those that are shown, mistakes before warnings, and how many more there are.
    pub fn shown(&self) -> (impl Iterator<Item = &Diagnostic>, usize) {
        first(&self.diagnostics)
    }

    /// Only the mistakes, without the warnings beside them.
    pub fn mistakes(&self) -> impl Iterator<Item = &Diagnostic> + Clone {
        let found = self.diagnostics.iter();
        found.filter(|found| !found.mistake.is_warning())
    }

    pub(in crate::config) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}

/// Returns the first of `found` in their order, of which mistakes go before warnings, and how many more there are.
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

/// At most 1,000 bytes of a text that may hold a key or a value of any length.
fn cut(mut text: String) -> String {
    if text.len() > 1_000 {
        text.truncate(boundary(&text, 1_000));
        text.push('…');
    }
    text
}

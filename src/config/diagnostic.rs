//! Mistakes in schedule files, shown where they were made.
//!
//! What can be wrong is worded in `mistake`.

use std::{
    collections::BTreeSet,
    fmt, iter,
    ops::Range,
    path::Path,
    sync::{Arc, OnceLock},
};

use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

pub use crate::config::mistake::Mistake;

/// How many mistakes a report shows, and how many places of one mistake.
const SHOWN: usize = 50;
const SHOWN_PLACES: usize = 10;
/// How much of a long line is shown, on each side of a mistake and of it.
const SHOWN_BYTES: usize = 200;

/// A schedule file: its text, and the path that messages give it. Clones share both.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it is.
    pub path: Arc<Path>,
    /// What is in it.
    pub text: Arc<str>,
    /// Where each line begins, from the first time that someone asks.
    lines: Arc<OnceLock<Box<[usize]>>>,
}

/// Files are the same if their paths and texts are.
impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, &self.text) == (&other.path, &other.text)
    }
}

impl Eq for Source {}

/// What a schedule file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// Ours.
    Toml,
    /// resque-scheduler's.
    Yaml,
}

impl Source {
    /// A file with this text.
    pub fn new(path: impl AsRef<Path>, text: impl Into<Arc<str>>) -> Self {
        Self {
            path: path.as_ref().into(),
            text: text.into(),
            lines: Arc::default(),
        }
    }

    /// The number of the line in which `at` is, from 1; and where that line begins.
    fn line(&self, at: usize) -> (usize, usize) {
        let lines = self.lines.get_or_init(|| {
            let breaks = memchr::memchr_iter(b'\n', self.text.as_bytes());
            iter::once(0).chain(breaks.map(|at| at + 1)).collect()
        });
        let number = lines.partition_point(|begin| *begin <= at);
        // The first line begins at 0, so the number is at least 1.
        (number, lines[number - 1])
    }

    /// The number of the letter at `at` in its line, from 1.
    fn column(&self, at: usize) -> usize {
        let (_, begin) = self.line(at);
        self.text[begin..at].chars().count() + 1
    }

    /// Where the line in which `at` is ends, without its line break.
    fn line_end(&self, at: usize) -> usize {
        let rest = &self.text.as_bytes()[at..];
        memchr::memchr(b'\n', rest).map_or(self.text.len(), |length| at + length)
    }

    /// YAML where the path ends in `.yml` or `.yaml`, else TOML.
    pub fn syntax(&self) -> Syntax {
        let ending = self.path.extension();
        if ending.is_some_and(|it| it == "yml" || it == "yaml") {
            Syntax::Yaml
        } else {
            Syntax::Toml
        }
    }
}

/// A part of a schedule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub source: Source,
    /// Bytes of its text; none: the file as a whole.
    pub span: Option<Range<usize>>,
}

/// The file and the line, `a.toml:3`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.path.display().fmt(f)?;
        let line = self
            .span
            .as_ref()
            .map(|span| self.source.line(span.start).0);
        line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

impl Place {
    /// Returns the file, the line and the column, `a.toml:3:9`.
    pub fn position(&self) -> String {
        match &self.span {
            Some(span) => {
                let start = boundary(&self.source.text, span.start);
                format!("self:{}", self.source.column(start))
            }
            None => self.to_string(),
        }
    }

    /// Adds the lines of the place to what is shown; of long ones, what stands around it.
    fn show<'a>(&self, shown: Group<'a>) -> Group<'a> {
        let source = &self.source;
        let path = source.path.display().to_string();
        let Some(span) = &self.span else {
            return shown.element(Origin::path(path));
        };
        let text = &*source.text;
        let start = boundary(text, span.start);
        let (line, begin) = source.line(start);
        let end = boundary(text, span.end.clamp(start, start + SHOWN_BYTES));
        let from = boundary(text, start.saturating_sub(SHOWN_BYTES)).max(begin);
        let to = boundary(text, end + SHOWN_BYTES).min(source.line_end(end));
        let caret = AnnotationKind::Primary.span(start - from..end - from);
        let snippet = Snippet::source(text[from..to].to_owned()).line_start(line);
        if from == begin {
            return shown.element(snippet.path(path).annotation(caret));
        }
        // The column is that in the whole line.
        let origin = Origin::path(path)
            .line(line)
            .char_column(source.column(start));
        shown.element(origin).element(snippet.annotation(caret))
    }
}

/// The end of the last whole letter of the first `at` bytes.
fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    let boundary = (0..=at).rev().find(|at| text.is_char_boundary(*at));
    boundary.unwrap_or(0)
}

/// At most 1,000 bytes of a text that may hold a key or a value of any length.
fn cut(mut text: String) -> String {
    if text.len() > 1_000 {
        text.truncate(boundary(&text, 1_000));
        text.push('…');
    }
    text
}

/// A mistake, and where it was made. Displayed, it shows the lines with carets under the mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub mistake: Mistake,
    /// Where; several only if it takes several to make the mistake.
    pub places: Vec<Place>,
}

impl Diagnostic {
    /// Returns what is wrong, in words; a long text is cut.
    pub fn message(&self) -> String {
        cut(self.mistake.to_string())
    }

    /// Returns how to mend it; a long text is cut.
    pub fn help(&self) -> Option<String> {
        self.mistake.help().map(cut)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.mistake.is_warning() {
            Level::WARNING
        } else {
            Level::ERROR
        };
        let title = level.primary_title(self.message());
        let mut error = Group::with_title(title);
        for place in self.places.iter().take(SHOWN_PLACES) {
            error = place.show(error);
        }
        if self.places.len() > SHOWN_PLACES {
            let more = self.places.len() - SHOWN_PLACES;
            error = error.element(Level::NOTE.message(format!("… and in {more} more places")));
        }
        let mut groups = vec![error];
        if let Some(help) = self.help() {
            let help = Level::HELP.secondary_title(normalize_untrusted_str(&help));
            groups.push(Group::with_title(help));
        }
        f.write_str(&Renderer::plain().render(&groups))
    }
}

/// All mistakes of a schedule, at least one. Displayed, it is the whole message to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub(super) fn new(diagnostics: Vec<Diagnostic>) -> Self {
        debug_assert!(!diagnostics.is_empty());
        Self { diagnostics }
    }

    /// The mistakes, and warnings beside them: first the files that can't be read, then file by file from top to bottom, then
    /// those between files.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The first ones, of which mistakes go before warnings, in their order; and how many more there are.
    pub fn shown(&self) -> (impl Iterator<Item = &Diagnostic>, usize) {
        let mut mistakes = SHOWN;
        let mut warnings = SHOWN.saturating_sub(self.mistakes().count());
        let shown = self.diagnostics.iter().filter(move |found| {
            let left = if found.mistake.is_warning() {
                &mut warnings
            } else {
                &mut mistakes
            };
            let is_shown = *left > 0;
            *left = left.saturating_sub(1);
            is_shown
        });
        (shown, self.diagnostics.len().saturating_sub(SHOWN))
    }

    /// Only the mistakes, without the warnings beside them.
    pub fn mistakes(&self) -> impl Iterator<Item = &Diagnostic> + Clone {
        let found = self.diagnostics.iter();
        found.filter(|found| !found.mistake.is_warning())
    }

    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, more) = self.shown();
        for diagnostic in shown {
            write!(f, "{diagnostic}\n\n")?;
        }
        if more > 0 {
            write!(f, "… and {more} more\n\n")?;
        }
        let mistakes = self.mistakes();
        let places = mistakes.clone().flat_map(|diagnostic| &diagnostic.places);
        let paths: BTreeSet<_> = places.map(|place| &place.source.path).collect();
        let plural = |count| if count == 1 { "" } else { "s" };
        let (mistakes, files) = (mistakes.count(), paths.len());
        write!(
            f,
            "{mistakes} mistake{} in {files} file{}; nothing of this schedule is used",
            plural(mistakes),
            plural(files)
        )
    }
}

impl std::error::Error for Report {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::cron::CronError;

    #[test]
    fn the_help_of_an_error_of_core_stands_below_it() {
        let text = "[schedule.a]\ncron = \"61 * * * *\"\n";
        let cron = CronError {
            span: 0..2,
            problem: "`61` is no minute".into(),
            help: Some("minutes are 0 to 59".into()),
        };
        let source = Source::new("schedules/a.toml", text);
        let diagnostic = Diagnostic {
            mistake: Mistake::Cron(cron),
            places: vec![Place {
                source,
                span: Some(21..23),
            }],
        };
        insta::assert_snapshot!(diagnostic, @r#"
        error: `61` is no minute
         --> schedules/a.toml:2:9
          |
        2 | cron = "61 * * * *"
          |         ^^
          |
        help: minutes are 0 to 59
        "#);
    }
}

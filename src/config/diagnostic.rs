//! Mistakes in schedule files, shown where they were made.
//!
//! What can be wrong is worded in `mistake`.

use std::{collections::BTreeSet, fmt, ops::Range, path::Path, sync::Arc};

use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

pub use super::mistake::Mistake;

/// A schedule file: its text, and the path that messages give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: Arc<Path>,
    /// What is in it.
    pub text: Arc<str>,
}

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
        let (path, text) = (path.as_ref().into(), text.into());
        Self { path, text }
    }

    /// The number of the line in which `span` begins, from 1; and the whole lines that it is in.
    fn lines(&self, span: &Range<usize>) -> (usize, Range<usize>) {
        let bytes = self.text.as_bytes();
        let is_break = |byte: &u8| *byte == b'\n';
        let start = span.start.min(bytes.len());
        let breaks = bytes[..start].iter().filter(|byte| is_break(byte)).count();
        let begin = bytes[..start].iter().rposition(is_break);
        let end = span.end.clamp(start, bytes.len());
        let rest = bytes[end..].iter().position(is_break);
        let end = rest.map_or(bytes.len(), |length| end + length);
        (breaks + 1, begin.map_or(0, |at| at + 1)..end)
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
        let line = self.span.as_ref().map(|span| self.source.lines(span).0);
        line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// A mistake, and where it was made. Displayed, it shows the lines with carets under the mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub mistake: Mistake,
    /// Where; several only if it takes several to make the mistake.
    pub places: Vec<Place>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.mistake.is_warning() {
            Level::WARNING
        } else {
            Level::ERROR
        };
        let title = level.primary_title(self.mistake.to_string());
        let mut error = Group::with_title(title);
        for Place { source, span } in &self.places {
            let path = source.path.display().to_string();
            error = if let Some(span) = span {
                let (line, lines) = source.lines(span);
                let text = source.text.get(lines.clone()).unwrap_or_default();
                let span = span.start - lines.start..span.end - lines.start;
                let caret = AnnotationKind::Primary.span(span);
                let snippet = Snippet::source(text).path(path).line_start(line);
                error.element(snippet.annotation(caret))
            } else {
                error.element(Origin::path(path))
            };
        }
        let mut groups = vec![error];
        if let Some(help) = self.mistake.help() {
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

    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.diagnostics {
            write!(f, "{diagnostic}\n\n")?;
        }
        let mistakes = self
            .diagnostics
            .iter()
            .filter(|found| !found.mistake.is_warning());
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
    use crate::core::cron::CronError;

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

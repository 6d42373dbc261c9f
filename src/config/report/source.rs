//! The texts of schedule files, and positions in them.

use std::{
    fmt, iter,
    ops::Range,
    path::Path,
    sync::{Arc, OnceLock},
};

use crate::core::schedule::entry::Origin;

/// A schedule file: its text, and its path for messages. Clones share both.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path of the file.
    pub path: Arc<Path>,
    /// The text of the file.
    pub text: Arc<str>,
    /// The path as text.
    shown: Arc<str>,
    /// The start of every line, computed when it is first needed.
    lines: Arc<OnceLock<Box<[usize]>>>,
}

/// Compares paths and texts.
impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, &self.text) == (&other.path, &other.text)
    }
}

impl Eq for Source {}

/// The syntax of a schedule file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// TOML, in the format of this scheduler.
    Toml,
    /// YAML, in the format of resque-scheduler.
    Yaml,
}

impl Source {
    /// Creates a file with this path and text.
    pub fn new(path: impl AsRef<Path>, text: impl Into<Arc<str>>) -> Self {
        let path = path.as_ref();
        Self {
            path: path.into(),
            text: text.into(),
            shown: path.display().to_string().into(),
            lines: Arc::default(),
        }
    }

    /// Returns the number of the line that contains `at`, from 1, and the start of that line.
    pub(super) fn line(&self, at: usize) -> (usize, usize) {
        let lines = self.lines.get_or_init(|| {
            let breaks = memchr::memchr_iter(b'\n', self.text.as_bytes());
            iter::once(0).chain(breaks.map(|at| at + 1)).collect()
        });
        let number = lines.partition_point(|begin| *begin <= at);
        // The first line begins at 0, so the number is at least 1.
        (number, lines[number - 1])
    }

    /// Returns the origin of the entry whose name is at `at`.
    pub(in crate::config) fn origin(&self, at: usize) -> Origin {
        let (line, _) = self.line(at);
        Origin::File {
            file: Arc::clone(&self.shown),
            line: line.try_into().unwrap_or(u32::MAX),
        }
    }

    /// Returns the column of `at` in characters, from 1.
    pub(super) fn column(&self, at: usize) -> usize {
        let (_, begin) = self.line(at);
        self.text[begin..at].chars().count() + 1
    }

    /// Returns the end of the line that contains `at`, without its line break.
    pub(super) fn line_end(&self, at: usize) -> usize {
        let rest = &self.text.as_bytes()[at..];
        memchr::memchr(b'\n', rest).map_or(self.text.len(), |length| at + length)
    }

    /// Returns YAML if the path ends in `.yml` or `.yaml`, otherwise TOML.
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
    /// The range of bytes in its text; `None` for the whole file.
    pub span: Option<Range<usize>>,
}

/// Writes the file and the line: `a.toml:3`.
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
    /// Returns the file, the line and the column: `a.toml:3:9`.
    pub fn position(&self) -> String {
        match &self.span {
            Some(span) => {
                let start = boundary(&self.source.text, span.start);
                format!("{self}:{}", self.source.column(start))
            }
            None => self.to_string(),
        }
    }
}

/// Returns the last character boundary at or before `at`.
pub(super) fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    let boundary = (0..=at).rev().find(|at| text.is_char_boundary(*at));
    boundary.unwrap_or(0)
}

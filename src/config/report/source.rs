//! Schedule files as texts, and places in them.

use std::{
    fmt, iter,
    ops::Range,
    path::Path,
    sync::{Arc, OnceLock},
};

use crate::core::schedule::entry::Origin;

/// A schedule file: its text, and the path that messages give it. Clones share both.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it is.
    pub path: Arc<Path>,
    /// What is in it.
    pub text: Arc<str>,
    /// The path as text.
    shown: Arc<str>,
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
        let path = path.as_ref();
        Self {
            path: path.into(),
            text: text.into(),
            shown: path.display().to_string().into(),
            lines: Arc::default(),
        }
    }

    /// The number of the line in which `at` is, from 1; and where that line begins.
    pub(super) fn line(&self, at: usize) -> (usize, usize) {
        let lines = self.lines.get_or_init(|| {
            let breaks = memchr::memchr_iter(b'\n', self.text.as_bytes());
            iter::once(0).chain(breaks.map(|at| at + 1)).collect()
        });
        let number = lines.partition_point(|begin| *begin <= at);
        // The first line begins at 0, so the number is at least 1.
        (number, lines[number - 1])
    }

    /// The origin of the entry whose name is at `at`.
    pub(in crate::config) fn origin(&self, at: usize) -> Origin {
        let (line, _) = self.line(at);
        Origin::File {
            file: Arc::clone(&self.shown),
            line: line.try_into().unwrap_or(u32::MAX),
        }
    }

    /// The number of the letter at `at` in its line, from 1.
    pub(super) fn column(&self, at: usize) -> usize {
        let (_, begin) = self.line(at);
        self.text[begin..at].chars().count() + 1
    }

    /// Where the line in which `at` is ends, without its line break.
    pub(super) fn line_end(&self, at: usize) -> usize {
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
                format!("{self}:{}", self.source.column(start))
            }
            None => self.to_string(),
        }
    }
}

/// The end of the last whole letter of the first `at` bytes.
pub(super) fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    let boundary = (0..=at).rev().find(|at| text.is_char_boundary(*at));
    boundary.unwrap_or(0)
}

//! A part of the text of an expression, with its place, and the error that marks it.

use std::ops::Range;

/// Why an expression was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct CronError {
    /// Bytes of the expression that it is about.
    pub span: Range<usize>,
    /// What is wrong there.
    pub problem: String,
    /// What is allowed there.
    pub help: Option<String>,
}

/// A piece of the expression, and where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// Bytes of the expression that it stands for; for a piece of a special, the special's.
    pub(super) length: usize,
}

impl Piece<'_> {
    pub(super) fn span(self) -> Range<usize> {
        self.at..self.at + self.length
    }

    /// The part from `start` to `end`.
    pub(super) fn part(self, start: usize, end: usize) -> Self {
        Self {
            text: &self.text[start..end],
            at: self.at + start,
            length: end - start,
        }
    }

    /// The parts before and after the first `separator` that isn't at the very start.
    pub(super) fn split(self, separator: char) -> Option<(Self, Self)> {
        let (at, _) = self
            .text
            .char_indices()
            .skip(1)
            .find(|(_, c)| *c == separator)?;
        let after = at + separator.len_utf8();
        Some((self.part(0, at), self.part(after, self.text.len())))
    }

    pub(super) fn error(self, problem: &str, help: impl Into<String>) -> CronError {
        CronError {
            span: self.span(),
            problem: format!("`{}` {problem}", self.text),
            help: Some(help.into()),
        }
    }
}

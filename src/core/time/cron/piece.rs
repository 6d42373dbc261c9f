//! A piece of an expression's text with its position, and errors that point at it.

use std::ops::Range;

/// Why an expression is invalid, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct CronError {
    /// The range of bytes in the expression that the problem is about.
    pub span: Range<usize>,
    /// What is wrong there.
    pub problem: String,
    /// What is allowed there.
    pub help: Option<String>,
}

/// A piece of the expression and its position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// The number of bytes in the expression. For a field of a special such as `@daily`, the length of the special.
    pub(super) length: usize,
}

impl Piece<'_> {
    pub(super) fn span(self) -> Range<usize> {
        self.at..self.at + self.length
    }

    /// Returns the part from `start` to `end`.
    pub(super) fn part(self, start: usize, end: usize) -> Self {
        Self {
            text: &self.text[start..end],
            at: self.at + start,
            length: end - start,
        }
    }

    /// Splits at the first `separator` that is not the first character.
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

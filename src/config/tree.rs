//! What a file says, whichever syntax it is in: values, each with its place.

use std::borrow::Cow;

use indexmap::IndexMap;
use toml::Spanned;

use crate::{config::diagnostic::Mistake, core::job::json::Unperformable};

/// A value and the bytes of the file that it is.
pub(super) type Node<'t> = Spanned<Value<'t>>;

/// The members of a table, in the order of the file.
pub(super) type Members<'t> = IndexMap<Spanned<Cow<'t, str>>, Node<'t>>;

/// A value of any syntax.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'t> {
    /// Not in TOML.
    Null,
    Flag(bool),
    /// In decimal, of any size.
    Integer(Cow<'t, str>),
    /// An integer of more than the 64 bits that TOML has.
    TooLarge,
    Float(f64),
    Text(Cow<'t, str>),
    /// Text with half a surrogate pair, only in JSON.
    LoneSurrogate,
    /// A time or a date, only in TOML: the text for it, in which seconds are never left out, and
    /// whether that has an offset.
    Time(String, bool),
    List(Vec<Node<'t>>),
    Table(Members<'t>),
}

impl<'t> Value<'t> {
    /// The integer, if it fits into 64 bits.
    pub(super) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn as_flag(&self) -> Result<bool, Mistake> {
        match self {
            Self::Flag(flag) => Ok(*flag),
            _ => Err(self.instead_of("a boolean")),
        }
    }

    pub(super) fn as_text(&self) -> Result<&str, Mistake> {
        match self {
            Self::Text(text) => Ok(text),
            Self::LoneSurrogate => Err(Mistake::Unperformable(Unperformable::LoneSurrogate)),
            _ => Err(self.instead_of("a string")),
        }
    }

    pub(super) fn as_list(&self) -> Option<&[Node<'t>]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn as_table(&self) -> Result<&Members<'t>, Mistake> {
        match self {
            Self::Table(members) => Ok(members),
            _ => Err(self.instead_of("a table")),
        }
    }

    /// The mistake that it is where something else was expected.
    pub(super) fn instead_of(&self, expected: &'static str) -> Mistake {
        let found = match self {
            Self::Null => "nothing",
            Self::Flag(_) => "a boolean",
            Self::Integer(_) | Self::TooLarge => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) | Self::LoneSurrogate => "a string",
            Self::Time(..) => "a date-time",
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
        };
        Mistake::WrongType(expected, found)
    }
}

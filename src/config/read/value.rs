//! What a file says, whichever syntax it is in: values, each with its place.

use std::{
    borrow::{Borrow, Cow},
    hash::{Hash, Hasher},
    ops::Range,
};

use indexmap::IndexMap;

use crate::{
    config::report::mistake::Mistake,
    core::job::{json::Unperformable, ruby_number},
};

/// A value, and which bytes of a text it is. Two are equal if their values are.
#[derive(Debug, Clone)]
pub(in crate::config) struct Located<T> {
    value: T,
    span: Range<usize>,
}

impl<T> Located<T> {
    pub(in crate::config) fn new(span: Range<usize>, value: T) -> Self {
        Self { value, span }
    }

    pub(in crate::config) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    pub(in crate::config) fn get_ref(&self) -> &T {
        &self.value
    }

    pub(in crate::config) fn get_mut(&mut self) -> &mut T {
        &mut self.value
    }

    pub(in crate::config) fn into_inner(self) -> T {
        self.value
    }
}

impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Located<T> {}

impl<T: Hash> Hash for Located<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

/// So that a key is found by its text.
impl Borrow<str> for Located<Cow<'_, str>> {
    fn borrow(&self) -> &str {
        &self.value
    }
}

/// A value and the bytes of the file that it is.
pub(in crate::config) type Node<'t> = Located<Value<'t>>;

/// The members of a table, in the order of the file.
pub(in crate::config) type Members<'t> = IndexMap<Located<Cow<'t, str>>, Node<'t>>;

/// A value of any syntax.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) enum Value<'t> {
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
    pub(in crate::config) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    pub(in crate::config) fn as_flag(&self) -> Result<bool, Mistake> {
        match self {
            Self::Flag(flag) => Ok(*flag),
            _ => Err(self.instead_of("a boolean")),
        }
    }

    pub(in crate::config) fn as_text(&self) -> Result<&str, Mistake> {
        match self {
            Self::Text(text) => Ok(text),
            Self::LoneSurrogate => Err(Mistake::Unperformable(Unperformable::LoneSurrogate)),
            _ => Err(self.instead_of("a string")),
        }
    }

    pub(in crate::config) fn as_list(&self) -> Option<&[Node<'t>]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub(in crate::config) fn as_table(&self) -> Result<&Members<'t>, Mistake> {
        match self {
            Self::Table(members) => Ok(members),
            _ => Err(self.instead_of("a table")),
        }
    }

    /// The mistake that it is where something else was expected.
    pub(in crate::config) fn instead_of(&self, expected: &'static str) -> Mistake {
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

/// A scalar as Ruby's `to_s` makes it; the others as they are.
pub(in crate::config) fn scalar_text(value: Value<'_>) -> Result<Cow<'_, str>, Value<'_>> {
    match value {
        Value::Null => Ok("".into()),
        Value::Flag(flag) => Ok(if flag { "true" } else { "false" }.into()),
        Value::Integer(digits) => Ok(digits),
        Value::Float(number) if number.is_finite() => Ok(ruby_number::float(number).into()),
        Value::Text(text) => Ok(text),
        other => Err(other),
    }
}

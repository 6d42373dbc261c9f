//! The values of a file, each with its position, independent of the syntax of the file.

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

/// A value and its range of bytes in a text. Comparisons ignore the range.
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

/// Allows looking up a key by its text.
impl Borrow<str> for Located<Cow<'_, str>> {
    fn borrow(&self) -> &str {
        &self.value
    }
}

/// A value with its range of bytes in the file.
pub(in crate::config) type Node<'t> = Located<Value<'t>>;

/// The members of a table in the order of the file.
pub(in crate::config) type Members<'t> = IndexMap<Located<Cow<'t, str>>, Node<'t>>;

/// A value in any of the syntaxes.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) enum Value<'t> {
    /// Not in TOML.
    Null,
    Flag(bool),
    /// The decimal digits of an integer of any size.
    Integer(Cow<'t, str>),
    /// An integer in TOML that does not fit into 64 bits.
    TooLarge,
    Float(f64),
    Text(Cow<'t, str>),
    /// Text with half a surrogate pair, only in JSON.
    LoneSurrogate,
    /// A time or a date, only in TOML: its text, always with seconds, and whether it has an offset.
    Time(String, bool),
    List(Vec<Node<'t>>),
    Table(Members<'t>),
}

impl<'t> Value<'t> {
    /// Returns the value if it is an integer of at most 64 bits.
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

    /// Returns the error that this value is used where a value of the type `expected` is required.
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

/// Converts a scalar to text as Ruby's `to_s` does. Returns any other value unchanged, as the error.
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

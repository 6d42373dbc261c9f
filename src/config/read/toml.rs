//! Parses TOML into values.

use std::{borrow::Cow, mem};

use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

use crate::config::{
    read::value::{Located, Members, Node, Value},
    report::{diagnostic::Diagnostic, mistake::Mistake, source::Source},
};

/// A file in TOML.
pub(in crate::config) struct Document<'t> {
    /// The members of the file. The table `schedule` in it is empty.
    pub(in crate::config) root: Members<'t>,
    /// The members of the table `schedule`. In large files they are many, so they are converted by [`member`] one at a
    /// time.
    pub(in crate::config) schedule: DeTable<'t>,
}

/// Parses a file in TOML.
///
/// # Errors
/// Returns all syntax errors.
pub(in crate::config) fn parse(source: &Source) -> Result<Document<'_>, Vec<Diagnostic>> {
    let (root, errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        let mut root = root.into_inner();
        let schedule = match root.get_mut("schedule").map(Spanned::get_mut) {
            Some(DeValue::Table(schedule)) => mem::take(schedule),
            _ => DeTable::new(),
        };
        let root = members(root);
        return Ok(Document { root, schedule });
    }
    let errors = errors.into_iter().map(|error| {
        let mistake = Mistake::Syntax(error.message().to_owned());
        Diagnostic::new(source, error.span(), mistake)
    });
    Err(errors.collect())
}

fn members(table: DeTable<'_>) -> Members<'_> {
    table.into_iter().map(member).collect()
}

/// Converts a member of a table.
pub(in crate::config) fn member<'t>(
    (key, value): (Spanned<Cow<'t, str>>, Spanned<DeValue<'t>>),
) -> (Located<Cow<'t, str>>, Node<'t>) {
    let key = Located::new(key.span(), key.into_inner());
    (key, node(value))
}

fn node(value: Spanned<DeValue<'_>>) -> Node<'_> {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text),
        DeValue::Integer(number) => integer(&number),
        // The parser only returns valid numbers, so the fallback is never used.
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(mut at) => {
            // Seconds are optional in TOML, but not in RFC 3339.
            if let Some(time) = &mut at.time {
                time.second.get_or_insert(0);
            }
            Value::Time(at.to_string(), at.offset.is_some())
        }
        DeValue::Array(items) => Value::List(items.into_iter().map(node).collect()),
        DeValue::Table(table) => Value::Table(members(table)),
    };
    Located::new(span, value)
}

fn integer<'t>(number: &DeInteger<'_>) -> Value<'t> {
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) => Value::Integer(number.to_string().into()),
        Err(_) => Value::TooLarge,
    }
}

//! TOML → tree.

use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

use super::{
    diagnostic::{Diagnostic, Mistake, Source},
    raw::diagnostic,
    tree::{Members, Node, Value},
};

/// Reads a file in TOML.
///
/// # Errors
/// Its syntax errors, all of them.
pub(super) fn parse(source: &Source) -> Result<Members<'_>, Vec<Diagnostic>> {
    let (root, errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        return Ok(members(root.into_inner()));
    }
    let errors = errors.into_iter().map(|error| {
        let mistake = Mistake::Syntax(error.message().to_owned());
        diagnostic(source, error.span(), mistake)
    });
    Err(errors.collect())
}

fn members(table: DeTable<'_>) -> Members<'_> {
    let members = table.into_iter();
    members.map(|(key, value)| (key, node(value))).collect()
}

fn node(value: Spanned<DeValue<'_>>) -> Node<'_> {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text),
        DeValue::Integer(number) => integer(&number),
        // What is no number at all can't come from the parser.
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(mut at) => {
            // TOML may leave the seconds out, RFC 3339 may not.
            if let Some(time) = &mut at.time {
                time.second.get_or_insert(0);
            }
            Value::Time(at.to_string(), at.offset.is_some())
        }
        DeValue::Array(items) => Value::List(items.into_iter().map(node).collect()),
        DeValue::Table(table) => Value::Table(members(table)),
    };
    Spanned::new(span, value)
}

fn integer<'t>(number: &DeInteger<'_>) -> Value<'t> {
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) => Value::Integer(number.to_string().into()),
        Err(_) => Value::TooLarge,
    }
}

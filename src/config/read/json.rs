//! Parses the JSON of a dynamic entry into values.

use std::ops::Range;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    config::{
        read::value::{Located, Members, Node, Value},
        report::mistake::Mistake,
    },
    core::job::json::{DEEPEST, Unperformable},
};

/// Parses a JSON object.
///
/// # Errors
/// Returns an error if the text is not a JSON object, or if it is nested too deep.
pub(in crate::config) fn parse(text: &str) -> Result<Members<'_>, Mistake> {
    let root: &RawValue = from_str(text)?;
    match (Reader { text, depth: 0 }).node(root)?.into_inner() {
        Value::Table(members) => Ok(members),
        other => Err(other.instead_of("a table")),
    }
}

/// Returns the path of the value at `span`, such as `$.every[1].first_in`.
pub(in crate::config) fn path(members: &Members<'_>, span: &Range<usize>) -> String {
    format!("${}", path_in(members, span))
}

fn path_in(members: &Members<'_>, span: &Range<usize>) -> String {
    let found = members.iter().find(|(_, node)| holds(node, span));
    found.map_or_else(String::new, |(key, node)| {
        format!(".{}{}", key.get_ref(), path_from(node, span))
    })
}

fn path_from(node: &Node<'_>, span: &Range<usize>) -> String {
    match node.get_ref() {
        Value::Table(members) => path_in(members, span),
        Value::List(items) => {
            let found = items.iter().enumerate().find(|(_, item)| holds(item, span));
            found.map_or_else(String::new, |(index, item)| {
                format!("[{index}]{}", path_from(item, span))
            })
        }
        _ => String::new(),
    }
}

fn holds(node: &Node<'_>, span: &Range<usize>) -> bool {
    let outer = node.span();
    outer.start <= span.start && span.end <= outer.end
}

fn from_str<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, Mistake> {
    serde_json::from_str(text).map_err(|error| Mistake::NotJson(error.to_string()))
}

struct Reader<'t> {
    text: &'t str,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn node(&mut self, raw: &'t RawValue) -> Result<Node<'t>, Mistake> {
        if self.depth == DEEPEST {
            return Err(Mistake::Unperformable(Unperformable::TooDeep));
        }
        self.depth += 1;
        let json = raw.get();
        let value = match json.as_bytes().first() {
            Some(b'{') => {
                let members: IndexMap<String, &'t RawValue> = from_str(json)?;
                let members = members.into_iter().map(|(key, raw)| {
                    let node = self.node(raw)?;
                    Ok((Located::new(node.span(), key.into()), node))
                });
                Value::Table(members.collect::<Result<_, _>>()?)
            }
            Some(b'[') => {
                let items: Vec<&'t RawValue> = from_str(json)?;
                let items = items.into_iter().map(|raw| self.node(raw));
                Value::List(items.collect::<Result<_, _>>()?)
            }
            // The JSON is valid, so a lone surrogate is the only possible error.
            Some(b'"') => from_str(json).map_or(Value::LoneSurrogate, Value::Text),
            Some(b't' | b'f') => Value::Flag(json == "true"),
            Some(b'n') => Value::Null,
            // serde_json refuses numbers that overflow a double. An infinite value is refused later.
            _ if json.contains(['.', 'e', 'E']) => {
                Value::Float(from_str(json).unwrap_or(f64::INFINITY))
            }
            _ => Value::Integer(json.into()),
        };
        self.depth -= 1;
        // `json` borrows from `text`, so the difference of the addresses is its position.
        let start = json.as_ptr().addr() - self.text.as_ptr().addr();
        Ok(Located::new(start..start + json.len(), value))
    }
}

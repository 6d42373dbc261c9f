//! Arguments as ActiveJob serializes them.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Error, value::RawValue};

use crate::core::job::{
    json::{self, AROUND_ARGUMENTS},
    payload::{appended, quoted},
};

/// The key that marks a hash as keyword arguments in ActiveJob.
const KEYWORDS: &str = "_aj_ruby2_keywords";

/// The number of levels of arrays and objects around a job's arguments in a worker's status record.
///
/// These are the levels around the wrapper's argument list, the list itself, and the argument in it.
pub const AROUND: usize = AROUND_ARGUMENTS + 2;

/// Returns arguments in ActiveJob's form, as one JSON array.
///
/// `list` is a JSON array of positional arguments. The keyword arguments in `kwargs`, a JSON object, follow them.
///
/// `{"symbol":"daily"}` becomes a symbol. An object with a key of ActiveJob's own (`_aj_…`) is copied as it is. Any
/// other object becomes a hash, and its keys that begin with a colon become symbols. The bytes of numbers and strings
/// do not change.
///
/// # Errors
/// Returns an error if `list` is not an array, if `kwargs` is not an object, or if a worker would exit on the job
/// ([`json::Unperformable`]).
pub fn arguments(list: &str, kwargs: Option<&str>) -> Result<String, Error> {
    // Checked before the recursion, which would overflow the stack if the nesting were too deep.
    for json in [list, kwargs.unwrap_or_default()] {
        check(json)?;
    }
    let mut out = String::with_capacity(list.len());
    write_list(list, &mut out)?;
    if let Some(kwargs) = kwargs {
        let mut hash = String::with_capacity(kwargs.len());
        write_hash(serde_json::from_str(kwargs)?, Marker::Keywords, &mut hash)?;
        out = appended(&out, &hash);
    }
    check(&out)?;
    Ok(out)
}

fn check(arguments: &str) -> Result<(), Error> {
    json::check(arguments, AROUND).map_err(Error::custom)
}

/// The marker that ActiveJob adds to a hash to describe its keys.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Marker {
    /// Lists the keys that are symbols.
    Symbols,
    /// Lists all keys, as keyword arguments.
    Keywords,
}

fn write_list(json: &str, out: &mut String) -> Result<(), Error> {
    let items: Vec<&RawValue> = serde_json::from_str(json)?;
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        out.push_str(if index == 0 { "" } else { "," });
        write_argument(item.get(), out)?;
    }
    out.push(']');
    Ok(())
}

fn write_argument(json: &str, out: &mut String) -> Result<(), Error> {
    if json.starts_with('[') {
        return write_list(json, out);
    }
    if !json.starts_with('{') {
        out.push_str(json);
        return Ok(());
    }
    let members: Members<'_> = serde_json::from_str(json)?;
    match &members.0[..] {
        [(key, value)] if key == "symbol" && value.get().starts_with('"') => {
            out.push_str(
                r#"{"_aj_serialized":"ActiveJob::Serializers::SymbolSerializer","value":"#,
            );
            out.push_str(value.get());
            out.push('}');
        }
        all if all.iter().any(|(key, _)| key.starts_with("_aj_")) => out.push_str(json),
        _ => write_hash(members, Marker::Symbols, out)?,
    }
    Ok(())
}

/// Writes a hash with its marker as the last member.
fn write_hash(members: Members<'_>, marker: Marker, out: &mut String) -> Result<(), Error> {
    let mut noted = vec![];
    out.push('{');
    for (key, value) in members.0 {
        let symbol = key.strip_prefix(':');
        let name = quoted(symbol.unwrap_or(&key));
        out.push_str(&name);
        out.push(':');
        write_argument(value.get(), out)?;
        out.push(',');
        if symbol.is_some() || marker == Marker::Keywords {
            noted.push(name);
        }
    }
    let key = match marker {
        Marker::Symbols => "_aj_symbol_keys",
        Marker::Keywords => KEYWORDS,
    };
    out.extend(["\"", key, "\":[", &noted.join(","), "]}"]);
    Ok(())
}

/// The members of a JSON object in their original order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object: keyword arguments are a struct or map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = vec![];
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// Returns `list`, which is in ActiveJob's form, with one more positional argument after the others.
///
/// Ruby treats a hash as keyword arguments only if it is the last argument, so the hash stays last.
pub(super) fn with_positional(list: &str, argument: &str) -> String {
    let elements: Vec<&RawValue> = serde_json::from_str(list).unwrap_or_default();
    match elements.last().map(|it| it.get()) {
        Some(keywords) if is_keywords(keywords) => {
            // `keywords` borrows from `list`, so the difference of the addresses is its index.
            let at = keywords.as_ptr().addr() - list.as_ptr().addr();
            [&list[..at], argument, ",", &list[at..]].concat()
        }
        _ => appended(list, argument),
    }
}

/// Whether an argument in ActiveJob's form is a hash of keyword arguments.
fn is_keywords(json: &str) -> bool {
    let members = serde_json::from_str(json);
    members.is_ok_and(|Members(members)| members.iter().any(|(key, _)| key == KEYWORDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(list: &str, kwargs: Option<&str>, expected: &str) {
        assert_eq!(arguments(list, kwargs).unwrap(), expected, "{list}");
    }

    const DAILY: &str =
        r#"{"_aj_serialized":"ActiveJob::Serializers::SymbolSerializer","value":"daily"}"#;

    #[test]
    fn a_hash_lists_which_of_its_keys_are_symbols() {
        case("[]", None, "[]");
        case("[{}]", None, r#"[{"_aj_symbol_keys":[]}]"#);
        case(
            r#"[{"z":1,":b":[{":c":2}]}]"#,
            None,
            r#"[{"z":1,"b":[{"c":2,"_aj_symbol_keys":["c"]}],"_aj_symbol_keys":["b"]}]"#,
        );
    }

    #[test]
    fn symbols_have_a_form_of_their_own() {
        case(r#"[{"symbol":"daily"}]"#, None, &format!("[{DAILY}]"));
        case(
            r#"[{"symbol":1},{"symbol":"a","b":2}]"#,
            None,
            r#"[{"symbol":1,"_aj_symbol_keys":[]},{"symbol":"a","b":2,"_aj_symbol_keys":[]}]"#,
        );
    }

    #[test]
    fn keywords_come_last() {
        case(
            "[1]",
            Some(r#"{"region":{"symbol":"daily"},":limit":{"a":5}}"#),
            &format!(
                r#"[1,{{"region":{DAILY},"limit":{{"a":5,"_aj_symbol_keys":[]}},"_aj_ruby2_keywords":["region","limit"]}}]"#
            ),
        );
        case("[]", Some("{}"), r#"[{"_aj_ruby2_keywords":[]}]"#);
        let error = arguments("[]", Some("[1]")).unwrap_err().to_string();
        assert!(
            error.contains("keyword arguments are a struct or map"),
            "{error}"
        );
    }

    #[test]
    fn an_added_positional_argument_is_before_the_keywords() {
        for (list, expected) in [
            ("[]", "[7]"),
            ("[ ]", "[ 7]"),
            ("[1]", "[1,7]"),
            (
                r#"[{"a":1,"_aj_symbol_keys":["a"]}]"#,
                r#"[{"a":1,"_aj_symbol_keys":["a"]},7]"#,
            ),
            (r#"["_aj_ruby2_keywords"]"#, r#"["_aj_ruby2_keywords",7]"#),
            (
                r#"[[{"_aj_ruby2_keywords":[]}]]"#,
                r#"[[{"_aj_ruby2_keywords":[]}],7]"#,
            ),
            (
                r#"[{"_aj_ruby2_keywords":[]},1]"#,
                r#"[{"_aj_ruby2_keywords":[]},1,7]"#,
            ),
            (
                r#"[{"_aj_ruby2_keywords":[]}]"#,
                r#"[7,{"_aj_ruby2_keywords":[]}]"#,
            ),
            (
                r#"[ 1 , {"a" : {}, "\u005faj_ruby2_keywords":["a"] } ]"#,
                r#"[ 1 , 7,{"a" : {}, "\u005faj_ruby2_keywords":["a"] } ]"#,
            ),
        ] {
            assert_eq!(with_positional(list, "7"), expected);
        }
    }

    #[test]
    fn an_argument_that_is_in_active_job_s_form_is_copied_as_it_is() {
        let user = r#"[{"_aj_globalid":"gid://app/User/1","x":{"y":1}}]"#;
        case(user, None, user);
    }

    #[test]
    fn numbers_and_text_keep_their_bytes() {
        case(
            "[ 1.0e+100 , [9223372036854775808, \"\\u00e9/\"], {\"a\": -0.0} ]",
            None,
            "[1.0e+100,[9223372036854775808,\"\\u00e9/\"],{\"a\":-0.0,\"_aj_symbol_keys\":[]}]",
        );
    }

    #[test]
    fn arguments_on_which_a_worker_would_exit_are_refused() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(arguments(&nested(96), None).is_ok());
        let too_deep = |list: &str, kwargs: Option<&str>| {
            let error = arguments(list, kwargs).unwrap_err().to_string();
            assert!(error.starts_with("nested too deep"), "{error}");
        };
        too_deep(&nested(97), None);
        too_deep(&nested(1_000_000), None);
        too_deep("[]", Some(&format!("{{\"a\":{}}}", nested(1_000_000))));
        // The hash itself is not too deep, but the list in ActiveJob's marker is.
        let hash = format!("{}{{}}{}", "[".repeat(95), "]".repeat(95));
        too_deep(&hash, None);
    }
}

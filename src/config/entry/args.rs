//! Turns the arguments of an entry into JSON text as Resque writes it (docs/protocol.md, "Bytes").
//!
//! The JSON is compact, has keys in the order of the file, and UTF-8 and `/` are not escaped.

use serde_json::value::RawValue;

use crate::{
    config::{
        read::{
            table::Table,
            value::{Located, Node, Value},
        },
        report::mistake::Mistake,
    },
    core::job::{
        json::{self, Unperformable},
        payload::{argument_list, quoted},
        ruby_number,
    },
};

/// Returns the argument list as a JSON array: an array is the list itself, any other value is a single argument.
///
/// `around` is the number of levels of arrays and objects around the list in a worker's status record.
pub(in crate::config) fn arguments(table: &mut Table<'_>, around: usize) -> String {
    table.not_both("args", "args_json");
    let args = table.value("args");
    let args_json = table.text("args_json");
    // `args_json` is checked even if `args` is used, to find its errors.
    let json = args_json.map_or("null", |text| checked_json(&text, table));
    let json = args.map_or_else(|| json.to_owned(), |args| json_of(args, table));
    let list = argument_list(&json).into_owned();
    if let Err(error) = json::check(&list, around) {
        for key in ["args", "args_json"] {
            table.report_key(key, Mistake::Unperformable(error));
        }
        return "[]".to_owned();
    }
    list
}

/// Returns the JSON in `text`, byte for byte, or `null` after reporting an error.
fn checked_json<'t>(text: &Located<&'t str>, table: &mut Table<'_>) -> &'t str {
    let json = text.get_ref();
    match serde_json::from_str::<&RawValue>(json) {
        Ok(value) => value.get(),
        Err(error) => {
            let before = json
                .split_inclusive('\n')
                .take(error.line().saturating_sub(1));
            let line: usize = before.map(str::len).sum();
            // serde_json counts columns in bytes from 1. At the end of a line, the column may be 0.
            let mut at = (line + error.column().saturating_sub(1)).min(json.len());
            while !json.is_char_boundary(at) {
                at -= 1;
            }
            let span = table.part(text, at..at);
            table.report(span, Mistake::NotJson(error.to_string()));
            "null"
        }
    }
}

/// Returns a value of a file as JSON.
pub(in crate::config) fn json_of(value: &Node<'_>, table: &mut Table<'_>) -> String {
    let mut json = String::new();
    write_json(value, table, &mut json);
    json
}

fn write_json(value: &Node<'_>, table: &mut Table<'_>, out: &mut String) {
    match value.get_ref() {
        Value::Null => out.push_str("null"),
        Value::Text(text) => out.push_str(&quoted(text)),
        Value::LoneSurrogate => {
            table.report(
                value.span(),
                Mistake::Unperformable(Unperformable::LoneSurrogate),
            );
            out.push_str("null");
        }
        Value::Flag(flag) => out.push_str(&flag.to_string()),
        Value::Integer(digits) => out.push_str(digits),
        Value::TooLarge => write_number(None, value, table, out),
        Value::Float(number) => {
            let number = number.is_finite().then(|| ruby_number::float(*number));
            write_number(number, value, table, out);
        }
        Value::Time(text, true) => out.push_str(&quoted(text)),
        Value::Time(..) => out.push_str(&quoted(table.literal(value.span()))),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_json(item, table, out);
            }
            out.push(']');
        }
        Value::Table(members) => {
            out.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                out.push_str(&quoted(key.get_ref()));
                out.push(':');
                write_json(member, table, out);
            }
            out.push('}');
        }
    }
}

fn write_number(number: Option<String>, value: &Node<'_>, table: &mut Table<'_>, out: &mut String) {
    let bad = || Mistake::BadNumber(table.literal(value.span()).to_owned());
    let number = number.ok_or_else(bad);
    // The error is reported. Writing `null` keeps the text valid JSON for the later checks.
    let number = table.keep(value.span(), number);
    out.push_str(number.as_deref().unwrap_or("null"));
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::{
        config::{Source, read::toml},
        core::job::json::AROUND_ARGUMENTS,
    };

    /// Returns the argument list, and every error with its position.
    fn read(toml: &str) -> (String, Vec<(Mistake, Range<usize>)>) {
        let source = Source::new("a.toml", toml);
        let values = toml::parse(&source).unwrap().root;
        let mut table = Table::new(&values, &source);
        let json = arguments(&mut table, AROUND_ARGUMENTS);
        let mistakes = table.finish().into_iter();
        let placed = mistakes.map(|found| (found.mistake, found.places[0].span.clone().unwrap()));
        (json, placed.collect())
    }

    #[track_caller]
    fn case(toml: &str, json: &str) {
        assert_eq!(read(toml), (json.to_owned(), vec![]), "{toml}");
    }

    #[test]
    fn an_array_is_the_list_and_anything_else_is_one_argument() {
        case("", "[]");
        case("args = []", "[]");
        case("args = [[1, 2], [3]]", "[[1,2],[3]]");
        case("args = {}", "[{}]");
        case("args = ''", r#"[""]"#);
        case("args = false", "[false]");
        case("args = 42", "[42]");
        case(
            "[args]\nb = 1\na.c = 'two'\n[[args.d]]",
            r#"[{"b":1,"a":{"c":"two"},"d":[{}]}]"#,
        );
    }

    #[test]
    fn text_and_numbers_are_written_as_resque_writes_them() {
        case(
            r#"args = ["naïve/✓ <&>", "a\"b\\c\n\u0000\u007f\u2028"]"#,
            "[\"naïve/✓ <&>\",\"a\\\"b\\\\c\\n\\u0000\u{7f}\u{2028}\"]",
        );
        case("args = [1.0, 1.50, -0.0, 1_000.5]", "[1.0,1.5,-0.0,1000.5]");
        case(
            "args = [0x1F, 0o17, 0b11, 1_000, +5, -0]",
            "[31,15,3,1000,5,0]",
        );
        case(
            "args = [1e20, 1e15, 1e14, 1.5e-7, 0.0001]",
            "[1.0e+20,1.0e+15,100000000000000.0,1.5e-07,0.0001]",
        );
        case("args = -9223372036854775808", "[-9223372036854775808]");
    }

    #[test]
    fn instants_become_rfc_3339_and_local_times_keep_their_text() {
        case("args = 2026-11-23 16:25:34z", r#"["2026-11-23T16:25:34Z"]"#);
        case(
            "args = 2026-11-23T16:25+01:00",
            r#"["2026-11-23T16:25:00+01:00"]"#,
        );
        case(
            "args = 2026-11-23 16:25:34.50",
            r#"["2026-11-23 16:25:34.50"]"#,
        );
        case("args = [2026-11-23, 16:25]", r#"["2026-11-23","16:25"]"#);
    }

    #[test]
    fn json_is_kept_byte_for_byte() {
        case(
            "args_json = '[ 1.0e+100, 18446744073709551616 ]'",
            "[ 1.0e+100, 18446744073709551616 ]",
        );
        case(
            r#"args_json = ' {"b": "\u00e9", "a":null} '"#,
            r#"[{"b": "\u00e9", "a":null}]"#,
        );
        case("args_json = ' null '", "[]");
        case("args_json = '[null]'", "[null]");
        case("args_json = 'false'", "[false]");
    }

    #[test]
    fn a_number_that_does_not_exist_in_json_or_toml_is_refused() {
        for number in [
            "nan",
            "-inf",
            "1e400",
            "9223372036854775808",
            "0xFFFFFFFFFFFFFFFF",
        ] {
            let toml = format!("args = [0, {{ a = {number} }}]");
            let (_, mistakes) = read(&toml);
            let [(mistake, span)] = &mistakes[..] else {
                panic!("{mistakes:?}");
            };
            assert_eq!(mistake, &Mistake::BadNumber(number.to_owned()));
            assert_eq!(&toml[span.clone()], number);
        }
    }

    #[test]
    fn arguments_on_which_a_worker_would_exit_are_refused() {
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        // The TOML parser allows fewer levels than a worker, so only `args_json` can have these.
        case(&format!("args_json = '{}'", nested(98)), &nested(98));
        for (json, error) in [
            (&*nested(99), Unperformable::TooDeep),
            (r#"["\ud83d"]"#, Unperformable::LoneSurrogate),
            (r#"[{"a":1e400}]"#, Unperformable::TooLarge),
        ] {
            let (_, mistakes) = read(&format!("args_json = '{json}'"));
            let [(Mistake::Unperformable(found), _)] = &mistakes[..] else {
                panic!("{mistakes:?}");
            };
            assert_eq!(*found, error);
        }
    }

    #[test]
    fn invalid_json_is_refused_at_the_position_of_its_error() {
        #[track_caller]
        fn refused(toml: &str, rest: &str) {
            let (_, mistakes) = read(toml);
            let [(Mistake::NotJson(_), span)] = &mistakes[..] else {
                panic!("{mistakes:?}");
            };
            assert_eq!(&toml[span.start..], rest);
        }
        refused("args_json = '[1, x]'", "x]'");
        refused("args_json = '[é, 2]'", "é, 2]'");
        refused("args_json = '[1, 2'", "2'");
        refused("args_json = \"\"\"\n[\n  1 2\n]\"\"\"", "2\n]\"\"\"");
        // If the text is written with escapes, all of it is marked.
        refused(r#"args_json = "[\"a\", b]""#, r#""[\"a\", b]""#);
        refused("args_json = ''", "''");
    }

    #[test]
    fn args_and_args_json_exclude_each_other() {
        let (json, mistakes) = read("args = {}\nargs_json = '[1]'");
        assert_eq!(json, "[{}]");
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        let (_, mistakes) = read("args = nan\nargs_json = '['");
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    }
}

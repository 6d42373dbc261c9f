//! Parses YAML scalars as Ruby's Psych 5 does: by YAML 1.1, with some extensions.
//!
//! For example, `yes` is true, `010` is 8, `12:30` is a sexagesimal number, and `:foo` is a symbol.

use std::{borrow::Cow, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use granit_parser::Tag;
use regex_lite::Regex;

use crate::config::{read::value::Value, report::mistake::Mistake};

/// The patterns of Psych's `ScalarScanner` for scalars that are not words.
struct Forms {
    time: Regex,
    date: Regex,
    symbol: Regex,
    sexagesimal: Regex,
    float: Regex,
    integer: Regex,
}

static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "the patterns are constant, and every test that parses a scalar compiles all of them"
    )]
    let form = |regex| Regex::new(regex).expect("a regex");
    Forms {
        time: form(
            r"^-?\d{4}-\d{1,2}-\d{1,2}([Tt]|\s+)\d{1,2}:\d\d:\d\d(\.\d*)?(\s*(Z|[-+]\d{1,2}:?(\d\d)?))?$",
        ),
        date: form(r"^\d{4}-(1[012]|0\d|\d)-([12]\d|3[01]|0\d|\d)$"),
        symbol: form(r#"^:(?:"(.*)"|'(.*)'|(.+))"#),
        sexagesimal: form(r"^[-+]?[0-9][0-9_]*(:[0-5]?[0-9]){1,2}(\.[0-9_]*)?$"),
        float: form(r"^[-+]?([0-9][0-9_,]*)?\.[0-9]*([eE][-+][0-9]+)?$"),
        integer: form(r"^[-+]?(0b[01_,]+|0[0-7_,]+|0x[0-9a-fA-F_,]+|0|[1-9](,?[0-9]|_[0-9])*)$"),
    }
});

/// Returns the value of a plain scalar. A symbol becomes the text of its name, because Resque writes symbols as text.
///
/// # Errors
/// Returns an error for a date or a time, because Psych does not load them by default, and for a number that is too
/// large.
pub(in crate::config) fn resolve(text: Cow<'_, str>) -> Result<Value<'_>, Mistake> {
    let word = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    let value = if text.is_empty() || text == "~" || word(&["null"]) {
        Value::Null
    } else if word(&["yes", "true", "on"]) {
        Value::Flag(true)
    } else if word(&["no", "false", "off"]) {
        Value::Flag(false)
    } else if text.starts_with(|first: char| first.is_ascii_digit() || "+-.:".contains(first)) {
        return number(text);
    } else {
        Value::Text(text)
    };
    Ok(value)
}

/// Returns the value of a scalar that may be a number, a time or a symbol.
fn number(text: Cow<'_, str>) -> Result<Value<'_>, Mistake> {
    let forms = &*FORMS;
    if forms.time.is_match(&text) || forms.date.is_match(&text) {
        return Err(Mistake::RubyTime(text.into_owned()));
    }
    let value = match &*text.to_ascii_lowercase() {
        ".inf" | "+.inf" => Some(Value::Float(f64::INFINITY)),
        "-.inf" => Some(Value::Float(f64::NEG_INFINITY)),
        ".nan" => Some(Value::Float(f64::NAN)),
        _ => match symbol(&text)
            .or_else(|| sexagesimal(&text))
            .or_else(|| float(&text))
        {
            Some(value) => Some(value),
            None => integer(&text)?,
        },
    };
    Ok(value.unwrap_or(Value::Text(text)))
}

fn symbol<'t>(text: &str) -> Option<Value<'t>> {
    let captures = FORMS.symbol.captures(text)?;
    let quoted = captures.get(1).or(captures.get(2));
    let quoted = quoted.map(|name| name.as_str());
    let name = quoted.map(|name| name.strip_prefix(':').unwrap_or(name));
    let name = name.or(captures.get(3).map(|name| name.as_str()))?;
    Some(Value::Text(name.to_owned().into()))
}

/// Parses numbers such as `12:30` as Psych does: hours and minutes, converted to seconds.
fn sexagesimal<'t>(text: &str) -> Option<Value<'t>> {
    const SECONDS: [i32; 3] = [3600, 60, 1];
    if !FORMS.sexagesimal.is_match(text) {
        return None;
    }
    let parts = text.split(':').map(|part| part.replace('_', ""));
    if text.contains('.') {
        let sum = parts.zip(SECONDS).try_fold(0.0, |sum, (part, seconds)| {
            Some(sum + part.parse::<f64>().ok()? * f64::from(seconds))
        });
        return sum.map(Value::Float);
    }
    let sum = parts.zip(SECONDS).try_fold(0_i128, |sum, (part, seconds)| {
        part.parse::<i128>()
            .ok()?
            .checked_mul(seconds.into())?
            .checked_add(sum)
    });
    sum.map(|sum| Value::Integer(sum.to_string().into()))
}

fn float<'t>(text: &str) -> Option<Value<'t>> {
    if !FORMS.float.is_match(text) {
        return None;
    }
    let digits = text.replace(['_', ','], "");
    digits.parse().ok().map(Value::Float)
}

/// Parses an integer. Decimal integers have any size; binary, octal and hexadecimal ones must fit into 128 bits.
fn integer<'t>(text: &str) -> Result<Option<Value<'t>>, Mistake> {
    if !FORMS.integer.is_match(text) {
        return Ok(None);
    }
    let digits = text.replace(['_', ','], "");
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits.strip_prefix('+').unwrap_or(&digits)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    let decimal = match radix {
        10 => digits.to_owned(),
        _ => u128::from_str_radix(digits, radix)
            .map_err(|_| Mistake::BadNumber(text.to_owned()))?
            .to_string(),
    };
    let sign = if decimal == "0" { "" } else { sign };
    Ok(Some(Value::Integer(format!("{sign}{decimal}").into())))
}

/// Returns the name of a tag for a type that JSON has too; empty for tags of apps, which Psych ignores.
///
/// Returns the whole tag as the error if it is for any other type.
pub(super) fn tag_name(tag: &Tag) -> Result<&str, String> {
    let verbatim = tag.suffix().strip_prefix("tag:yaml.org,2002:");
    match (tag.handle(), tag.suffix()) {
        (_, name) if verbatim.is_some() => Ok(verbatim.unwrap_or(name)),
        ("tag:yaml.org,2002:", name) | ("!", name @ ("str" | "float" | "binary")) => Ok(name),
        ("!", name) => match name.strip_prefix("ruby/") {
            None => Ok(""),
            Some(name) if name.starts_with("sym") => Ok(name),
            Some(_) => Err(format!("!{name}")),
        },
        ("", "!") => Ok(""),
        (handle, suffix) => Err(format!("{handle}{suffix}")),
    }
}

/// Decodes the text of a `!binary` scalar.
pub(super) fn binary<'t>(text: &str) -> Result<Value<'t>, Mistake> {
    let compact: String = text.split_whitespace().collect();
    let bytes = STANDARD.decode(compact).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(|text| Value::Text(text.into()))
        .ok_or(Mistake::Tag("binary".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::job::ruby_number;

    /// Returns the value as JSON, or the error.
    fn read(text: &str) -> String {
        match resolve(text.into()) {
            Ok(Value::Null) => "null".to_owned(),
            Ok(Value::Flag(flag)) => flag.to_string(),
            Ok(Value::Integer(digits)) => digits.into_owned(),
            Ok(Value::Float(number)) => ruby_number::float(number),
            Ok(Value::Text(text)) => format!("{text:?}"),
            Ok(other) => panic!("{other:?}"),
            Err(mistake) => mistake.to_string(),
        }
    }

    #[test]
    fn scalars_are_read_as_psych_reads_them() {
        // Recorded with Ruby 3.1 and Psych 5.0.2.
        for (text, json) in [
            ("", "null"),
            ("~", "null"),
            ("nUll", "null"),
            ("yEs", "true"),
            ("Off", "false"),
            ("y", "\"y\""),
            ("N", "\"N\""),
            ("0", "0"),
            ("-0", "0"),
            ("007", "7"),
            ("08", "\"08\""),
            ("-010", "-8"),
            ("0o17", "\"0o17\""),
            ("0b101", "5"),
            ("0b12", "\"0b12\""),
            ("+0x1f", "31"),
            ("0xff_f", "4095"),
            ("1_000", "1000"),
            ("1,000", "1000"),
            ("1,00", "100"),
            ("1_", "\"1_\""),
            ("1__0", "\"1__0\""),
            ("99999999999999999999999", "99999999999999999999999"),
            ("12:30", "45000"),
            ("-1:30", "-1800"),
            ("1:60", "\"1:60\""),
            ("190:20:30", "685230"),
            ("1:2:3.5", "3723.5"),
            ("1.", "1.0"),
            ("-.5", "-0.5"),
            (".", "\".\""),
            ("+", "\"+\""),
            ("1e3", "\"1e3\""),
            ("1.0e3", "\"1.0e3\""),
            ("1.e+3", "1000.0"),
            ("1.5E-3", "0.0015"),
            ("1,0.5", "10.5"),
            (":foo", "\"foo\""),
            ("::A", "\":A\""),
            (":\"a b\"", "\"a b\""),
            (":'x'", "\"x\""),
            (":", "\":\""),
            ("2024-13-45", "\"2024-13-45\""),
            ("2024-1-2", "`2024-1-2` is a time, and JSON has no times"),
            (
                "2001-12-14 21:59:43",
                "`2001-12-14 21:59:43` is a time, and JSON has no times",
            ),
            ("0b_", "`0b_` cannot be an argument"),
            (
                "0x1ffffffffffffffffffffffffffffffff",
                "`0x1ffffffffffffffffffffffffffffffff` cannot be an argument",
            ),
        ] {
            assert_eq!(read(text), json, "{text}");
        }
    }
}

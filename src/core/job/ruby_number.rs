//! Numbers as Ruby writes them.

use std::borrow::Cow;

/// Returns a JSON number, finite as a double, as Ruby's `to_s` writes it after Ruby's JSON parsed it.
pub fn number(json: &str) -> Cow<'_, str> {
    match json.parse() {
        Ok(number) if json.contains(['.', 'e', 'E']) => Cow::Owned(float(number)),
        _ if json == "-0" => Cow::Borrowed("0"),
        _ => Cow::Borrowed(json),
    }
}

/// Returns a finite number as Ruby's JSON and `to_s` write it, such as `1.0e+20` rather than `1e20`.
///
/// The digits are the shortest that parse to the same number.
pub fn float(number: f64) -> String {
    // For example `-1.5e-7`: one digit, the other digits, the power of ten.
    let shortest = format!("{number:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..15).contains(&exponent) {
        return format!("{number:?}");
    }
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{point}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_ruby_writes_them() {
        for text in [
            "0.0",
            "-0.0",
            "100.0",
            "0.0001",
            "1.0e-05",
            "1.5e-07",
            "123456789012345.0",
            "100000000000000.0",
            "1.0e+15",
            "1.2345678901234568e+17",
            "1.0e+100",
            "5.0e-324",
            "-1.7976931348623157e+308",
        ] {
            assert_eq!(float(text.parse().unwrap()), text);
        }
    }
}

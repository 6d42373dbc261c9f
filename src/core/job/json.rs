//! The limits of Ruby's JSON that a job's arguments must not exceed.
//!
//! A Resque worker parses the payload that it took from a queue. Then it generates JSON for its status record, which
//! contains the payload. If either fails, the worker exits and the job is lost.

/// The maximum number of levels of arrays and objects that Ruby's JSON parses and generates.
pub const DEEPEST: usize = 100;

/// The number of levels around a job's argument list: the worker's status record, and the payload in it.
pub const AROUND_ARGUMENTS: usize = 2;

/// Why a worker exits when it takes a job with these arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unperformable {
    /// Arrays and objects are nested too deep.
    #[error(
        "nested too deep: the worker's status record, with the payload in it, can have {DEEPEST} levels in Ruby's JSON"
    )]
    TooDeep,
    /// An escaped UTF-16 surrogate without the other half of its pair.
    #[error(
        "half a surrogate pair, such as `\\ud83d`: Ruby's JSON rejects text that is not Unicode"
    )]
    LoneSurrogate,
    /// A number that overflows to infinity as a double.
    #[error(
        "number too large, such as `1e400`: Ruby's JSON parses it as Infinity, and cannot generate that"
    )]
    TooLarge,
}

/// Checks that Ruby's JSON can parse and generate `json` inside of `around` levels of arrays and objects.
///
/// `json` must be valid JSON.
///
/// # Errors
/// Returns the first limit that `json` exceeds.
pub fn check(json: &str, around: usize) -> Result<(), Unperformable> {
    let bytes = json.as_bytes();
    let (mut level, mut at) = (around, 0);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = end_of_text(bytes, at)?,
            b'[' | b'{' if level >= DEEPEST => return Err(Unperformable::TooDeep),
            b'[' | b'{' => level += 1,
            b']' | b'}' => level = level.saturating_sub(1),
            b'.' | b'e' | b'E' if is_infinite(json, at - 1) => return Err(Unperformable::TooLarge),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the index after the closing quote of the string that starts at `at`.
fn end_of_text(json: &[u8], mut at: usize) -> Result<usize, Unperformable> {
    while let Some(found) = memchr::memchr2(b'"', b'\\', json.get(at..).unwrap_or_default()) {
        at += found;
        if json[at] == b'"' {
            return Ok(at + 1);
        }
        at += length_of_escape(&json[at..])?;
    }
    Ok(json.len())
}

/// Returns how many bytes of the escape at the start of `json` to skip: two, or twelve for a surrogate pair.
fn length_of_escape(json: &[u8]) -> Result<usize, Unperformable> {
    match json {
        [
            _,
            b'u',
            b'd' | b'D',
            b'8' | b'9' | b'a' | b'b' | b'A' | b'B',
            _,
            _,
            b'\\',
            b'u',
            b'd' | b'D',
            b'c'..=b'f' | b'C'..=b'F',
            ..,
        ] => Ok(12),
        [
            _,
            b'u',
            b'd' | b'D',
            b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F',
            ..,
        ] => Err(Unperformable::LoneSurrogate),
        _ => Ok(2),
    }
}

/// Whether the number with a point or exponent at `at` overflows to infinity as a double.
///
/// Returns false for the `e` of `true` and `false`.
fn is_infinite(json: &str, at: usize) -> bool {
    /// A number with fewer digits before its point, and no positive exponent, is less than 1e308.
    const MANY: usize = 309;
    let bytes = json.as_bytes();
    let digits = bytes[..at].iter().rev().take(MANY);
    let digits = digits.take_while(|it| it.is_ascii_digit()).count();
    let grows = !matches!(bytes[at..], [b'.', ..] | [_, b'-', ..]);
    if digits == 0 || digits < MANY && !grows {
        return false;
    }
    let outside = |it: &u8| !matches!(it, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let start = bytes[..at].iter().rposition(outside).map_or(0, |it| it + 1);
    let end = bytes[at..].iter().position(outside);
    let number = &json[start..end.map_or(json.len(), |it| at + it)];
    number.parse().is_ok_and(f64::is_infinite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(json: &str, expected: Result<(), Unperformable>) {
        for (before, after) in [("[", "]"), ("[ ", " ]"), ("[{\"a\":", "},true,1]")] {
            let json = [before, json, after].concat();
            assert_eq!(check(&json, 0), expected, "{json}");
        }
    }

    #[test]
    fn surrogates_must_come_in_pairs() {
        for text in [
            r#""\ud83d\ude00""#,
            r#""\uD83D\uDE00\uDBFF\uDFFF""#,
            r#""\ud7ff\ue000""#,
            r#""\\ud83d""#,
            r#""\\\\ud83d""#,
            r#""a\"\\""#,
            r#""\u0000\u00d8""#,
        ] {
            case(text, Ok(()));
        }
        for text in [
            r#""\ud83d""#,
            r#""\ud83d ""#,
            r#""\ude00\ud83d""#,
            r#""\ud83d\ud83d\ude00""#,
            r#""\ud83d\u0041""#,
            r#""\ud83d\\ude00""#,
            r#""\\\uDFFF""#,
            r#"{"\udBff":1}"#,
            r#"{"a":"\"\ud800"}"#,
        ] {
            case(text, Err(Unperformable::LoneSurrogate));
        }
    }

    #[test]
    fn numbers_must_be_finite_as_doubles() {
        let digits = |count| "9".repeat(count);
        let zeros = "0".repeat(400);
        for number in [
            "1.7976931348623158e308",
            "-1.7976931348623158E+308",
            "1e-400",
            "-0.0",
            "0e999999999999999999999",
            "1e-99999999999999999999",
            "9007199254740993",
            &digits(400),
            &format!("-{}", digits(400)),
            &format!("{}.5", digits(308)),
            &format!("1{zeros}.0e-200"),
            &format!("0.{zeros}1e401"),
            "\"1e400\"",
        ] {
            case(number, Ok(()));
        }
        for number in [
            "1.7976931348623159e308",
            "1.8e308",
            "1e400",
            "-1E+400",
            "1e99999999999999999999",
            &format!("{}.0", digits(309)),
            &format!("-1{zeros}.0"),
            &format!("1{zeros}.5e-7"),
            &format!("1{zeros}e-7"),
            &format!("0.{zeros}1e750"),
        ] {
            case(number, Err(Unperformable::TooLarge));
        }
    }

    #[test]
    fn the_levels_around_the_arguments_count_too() {
        let nested = |levels| "[".repeat(levels) + "\"[[\\\"[\",{}" + &"]".repeat(levels);
        assert_eq!(check(&nested(99), 0), Ok(()));
        assert_eq!(check(&nested(100), 0), Err(Unperformable::TooDeep));
        assert_eq!(check(&nested(97), 2), Ok(()));
        assert_eq!(check(&nested(98), 2), Err(Unperformable::TooDeep));
        // Siblings do not add levels.
        let wide = format!("[{}[]]", "[{}],".repeat(200));
        assert_eq!(check(&wide, 98), Err(Unperformable::TooDeep));
        assert_eq!(check(&wide, 97), Ok(()));
    }
}

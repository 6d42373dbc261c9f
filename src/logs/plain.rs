//! Escapes control characters in a log line, so that it stays one line and cannot control a terminal.

use std::{borrow::Cow, fmt::Write as _};

/// Returns `line` with every control character and bidirectional control escaped, except for the line break at its
/// end.
///
/// The escapes (`\n`, `\t`, `\u0085`, `\u202e`) are those of JSON, so a line of JSON keeps its meaning. If
/// `colour` is set, the formatter's own escape sequences stay.
pub(super) fn plain(line: &str, colour: bool) -> Cow<'_, str> {
    let (text, end) = match line.strip_suffix('\n') {
        Some(text) => (text, "\n"),
        None => (line, ""),
    };
    let is_harmful = |letter: char| is_harmful(letter) && !(colour && letter == '\x1b');
    if !text.contains(is_harmful) {
        return line.into();
    }
    let mut plain = String::with_capacity(line.len() + 16);
    for letter in text.chars() {
        match letter {
            '\n' => plain.push_str("\\n"),
            '\r' => plain.push_str("\\r"),
            '\t' => plain.push_str("\\t"),
            // Every harmful character has at most four hexadecimal digits. Writing to a String cannot fail.
            _ if is_harmful(letter) => drop(write!(plain, "\\u{:04x}", u32::from(letter))),
            _ => plain.push(letter),
        }
    }
    plain.push_str(end);
    plain.into()
}

fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_whatever_is_in_it() {
        assert_eq!(plain("all well: åäö\n", false), "all well: åäö\n");
        let forged = "a\nb\r\t\x1b[2J\u{7f}\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}\u{61c}c\n";
        let expected =
            r"a\nb\r\t\u001b[2J\u007f\u0085\u009b\u2028\u2029\u202e\u2066\u061cc".to_owned() + "\n";
        assert_eq!(plain(forged, false), expected);
    }

    #[test]
    fn the_colours_of_the_formatter_stay() {
        assert_eq!(
            plain("\x1b[31mred\x1b[0m\u{9b}\n", true),
            "\x1b[31mred\x1b[0m\\u009b\n"
        );
    }
}

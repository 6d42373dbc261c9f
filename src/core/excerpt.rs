//! Shortens long texts for logs. The texts may come from any app, so they may have any length.

use std::borrow::Cow;

/// The maximum number of bytes of a text that are shown.
const LONGEST: usize = 500;

/// Returns `text`, or its first 500 bytes and a note of its full length if it is longer.
pub fn excerpt(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return text.into();
    }
    let is_boundary = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=LONGEST).rev().find(is_boundary).unwrap_or_default();
    format!("{}… (cut, {} bytes in all)", &text[..end], text.len()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(excerpt("short"), "short");
        let text = "x".repeat(LONGEST);
        assert_eq!(excerpt(&text), text);
        let text = format!("{}é{}", "x".repeat(LONGEST - 1), "y".repeat(4_000));
        let expected = format!("{}… (cut, 4501 bytes in all)", "x".repeat(LONGEST - 1));
        assert_eq!(excerpt(&text), expected);
    }
}

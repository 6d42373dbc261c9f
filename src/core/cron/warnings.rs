//! What a valid expression may not mean as it stands.

use std::ops::Range;

use super::Cron;

impl Cron {
    /// Returns the place of the first comma beside which the text has an empty item, as `1,,2` has. Fugit
    /// skips such items, but they may be slips.
    pub fn empty_item(text: &str) -> Option<Range<usize>> {
        let text = text.trim_end().as_bytes();
        let is_end = |byte: &u8| matches!(byte, b',' | b' ' | b'\t' | b'&');
        let at = (0..text.len()).find(|at| {
            let before = at.checked_sub(1).and_then(|before| text.get(before));
            let beside = [before, text.get(at + 1)];
            text[*at] == b',' && beside.iter().any(|byte| byte.is_none_or(is_end))
        })?;
        Some(at..at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_beside_nothing_is_found() {
        let at = |text| Cron::empty_item(text).map(|comma| comma.start);
        assert_eq!(at(",1 * * * *"), Some(0));
        assert_eq!(at("1,2,,3 * * * *"), Some(3));
        assert_eq!(at("1, * * * *"), Some(1));
        assert_eq!(at("1 , * * * *"), Some(2));
        assert_eq!(at("1 1 1& ,1 mon"), Some(7));
        assert_eq!(at("* * * * 1,& "), Some(9));
        assert_eq!(at("* * * * 1,"), Some(9));
        assert_eq!(at("1,2 * * * 1,2& Europe/Paris"), None);
    }
}

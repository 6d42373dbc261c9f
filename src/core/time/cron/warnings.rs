//! Warnings about parts of a valid expression that its author may have meant differently.

use std::ops::Range;

use crate::core::time::cron::{Cron, calendar::InWeeks, field::WEEKDAY};

impl Cron {
    /// Returns the items with a modulo, such as `tue%2`, that fire in other weeks with et-orbi before 1.4.0.
    ///
    /// Each item comes with the item that fires here in those other weeks, such as `tue%2+1`.
    ///
    /// et-orbi before 1.4.0 counted weeks from Tuesday 2019-01-01, which was the first day of week 1 (`rweek` of et-orbi
    /// 1.2.11). Since then, weeks count from Monday 2018-12-31, the first day of week 0. In the old numbering, every day
    /// except Monday had a week number that was higher by one.
    pub fn weeks_before_et_orbi_1_4(&self) -> Vec<(String, String)> {
        let rules = self.calendar.weekdays.as_ref().map(|it| &*it.in_weeks);
        let days = rules
            .unwrap_or_default()
            .chunk_by(|one, other| one.weekday == other.weekday);
        let differ = days.filter(|rules| {
            let mut before: Vec<_> = rules.iter().map(before).collect();
            before.sort_unstable();
            rules[0].weekday != MONDAY && before != *rules
        });
        let shown = |rule: &InWeeks| (item(rule), item(&before(rule)));
        differ.flatten().map(shown).collect()
    }

    /// Returns the position of the first comma next to an empty item, as in `1,,2`.
    ///
    /// fugit skips empty items, but they may be typing errors.
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

const MONDAY: u32 = 1;

/// Returns the rule that fires here in the weeks in which `rule` fired with et-orbi before 1.4.0.
///
/// Does not apply to Mondays.
fn before(rule: &InWeeks) -> InWeeks {
    InWeeks {
        remainder: (rule.remainder + rule.divisor - 1) % rule.divisor,
        ..*rule
    }
}

fn item(rule: &InWeeks) -> String {
    let weekday = WEEKDAY.words[rule.weekday as usize];
    match rule.remainder {
        0 => format!("{weekday}%{}", rule.divisor),
        remainder => format!("{weekday}%{}+{remainder}", rule.divisor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked with both versions of et-orbi through fugit 1.14, from 2026-11-24 on: with 1.2.11, `tue%2` fires on
    /// 2026-12-01 and `sat%3+2` on 2026-11-28. With 1.4.1, `tue%2+1` and `sat%3+1` fire on these days.
    #[test]
    fn week_numbers_differ_on_every_day_except_monday() {
        let differ = |days: &str| {
            let cron = Cron::parse(&format!("0 0 * * {days}"), "").unwrap();
            let items = cron.weeks_before_et_orbi_1_4().into_iter();
            let items: Vec<_> = items.map(|(item, here)| format!("{item} {here}")).collect();
            items.join(", ")
        };
        assert_eq!(differ("tue%2"), "tue%2 tue%2+1");
        assert_eq!(differ("sat%3+2"), "sat%3+2 sat%3+1");
        assert_eq!(differ("7%2+1,mon%2,3%4"), "sun%2+1 sun%2, wed%4 wed%4+3");
        for same in ["mon%2", "tue%1", "tue,tue%2", "tue%2,tue%2+1", "tue#2", "*"] {
            assert_eq!(differ(same), "", "{same}");
        }
    }

    #[test]
    fn a_comma_next_to_an_empty_item_is_found() {
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

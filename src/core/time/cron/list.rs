//! Parses the items of one field into the set of its values.

use crate::core::time::cron::{
    calendar::{Days, InWeeks, Weekdays},
    field::{Choice, DAY, Field, HOUR, WEEKDAY},
    piece::{CronError, Piece},
};

/// Returns the items of a list. Empty items are skipped, as fugit skips them.
///
/// Spaces are allowed between commas, but not between an item and the comma after it.
pub(super) fn items<'a>(field: &Field, list: Piece<'a>) -> Result<Vec<Piece<'a>>, CronError> {
    let mut items: Vec<Piece<'a>> = Vec::new();
    let mut start = 0;
    for (end, _) in list.text.match_indices(',').chain([(list.text.len(), "")]) {
        let item = list.text[start..end].trim_end();
        if !item.is_empty() {
            if let Some(before) = items.last()
                && list.text[before.at + before.length - list.at..].starts_with([' ', '\t'])
            {
                return Err(before.error(
                    "has a space before its comma",
                    "write the list without spaces: `1,2`",
                ));
            }
            items.push(list.part(start, start + item.len()));
        }
        start = end + 1;
    }
    if items.is_empty() {
        return Err(field.missing(list));
    }
    Ok(items)
}

pub(super) fn read_times(
    field: &Field,
    items: &[Piece<'_>],
    choice: Choice,
) -> Result<u64, CronError> {
    let mut set = 0;
    for item in items {
        for value in field.values(*item, choice)? {
            set |= field.bit(value);
        }
    }
    Ok(set)
}

/// Returns the set of hours, and whether it is unrestricted, which means that a single item contains all hours.
pub(super) fn read_hours(items: &[Piece<'_>], choice: Choice) -> Result<(u64, bool), CronError> {
    let mut unrestricted = false;
    for item in items {
        let mut values = HOUR.values(*item, choice)?.into_iter();
        unrestricted |= (HOUR.min..=HOUR.max).all(|hour| values.next() == Some(hour));
    }
    Ok((read_times(&HOUR, items, choice)?, unrestricted))
}

pub(super) fn read_days(items: &[Piece<'_>], choice: Choice) -> Result<Option<Days>, CronError> {
    let mut days = Days::default();
    let mut unrestricted = false;
    for item in items {
        let values = DAY.values(*item, choice)?;
        unrestricted |= values.iter().copied().eq(DAY.min..=DAY.max);
        for value in values {
            let end = if value < 0 {
                &mut days.from_end
            } else {
                &mut days.from_start
            };
            *end |= DAY.bit(value);
        }
    }
    Ok((!unrestricted).then_some(days))
}

pub(super) fn read_weekdays(
    items: &[Piece<'_>],
    choice: Choice,
) -> Result<Option<Weekdays>, CronError> {
    let mut weekdays = Weekdays::default();
    let mut in_weeks = Vec::new();
    for item in items.iter().filter(|item| item.text != "*") {
        if let Some((day, nth)) = item.split('#') {
            let bit = weekday_bit(WEEKDAY.value(day)?);
            match read_nth(*item, nth)? {
                (week, false) => weekdays.from_start[week] |= bit,
                (week, true) => weekdays.from_end[week] |= bit,
            }
        } else if let Some((day, rule)) = item.split('%') {
            let weekday = weekday_bit(WEEKDAY.value(day)?).trailing_zeros();
            in_weeks.push(read_weeks(*item, weekday, rule)?);
        } else {
            for value in WEEKDAY.values(*item, choice)? {
                let bit = weekday_bit(value);
                weekdays.from_start.iter_mut().for_each(|set| *set |= bit);
            }
        }
    }
    // A plain weekday includes the same weekday of some weeks only.
    let plain = weekdays.plain();
    weekdays.from_end.iter_mut().for_each(|set| *set &= !plain);
    in_weeks.retain(|rule| plain >> rule.weekday & 1 == 0);
    in_weeks.sort_unstable();
    in_weeks.dedup();
    weekdays.in_weeks = in_weeks.into_boxed_slice();
    let unrestricted = items.iter().all(|item| item.text == "*");
    Ok((!unrestricted).then_some(weekdays))
}

fn weekday_bit(value: i32) -> u8 {
    // Weekdays are bits 0 to 6, so they are in the lowest byte.
    WEEKDAY.bit(value).to_le_bytes()[0]
}

/// Parses the text after a `#`. Returns the week of the month, from 0, and whether it counts from the end.
fn read_nth(item: Piece<'_>, nth: Piece<'_>) -> Result<(usize, bool), CronError> {
    let (number, from_end) = match nth.text.strip_prefix('-') {
        Some(number) => (number, true),
        None if ["l", "last"]
            .iter()
            .any(|last| nth.text.eq_ignore_ascii_case(last)) =>
        {
            ("1", true)
        }
        None => (nth.text, false),
    };
    let week = ["1", "2", "3", "4", "5"]
        .iter()
        .position(|week| *week == number);
    week.map(|week| (week, from_end)).ok_or_else(|| {
        item.error(
            "is not a numbered weekday of the month",
            "write 1 to 5, -1 (the last) to -5, or `L` after the `#`: `mon#1`",
        )
    })
}

/// Parses the text after a `%`: the divisor of the week number, optionally followed by `+` and the remainder.
fn read_weeks(item: Piece<'_>, weekday: u32, rule: Piece<'_>) -> Result<InWeeks, CronError> {
    let digits = |text: &str| -> Option<u32> {
        let digits = text.bytes().all(|digit| digit.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    let (divisor, remainder) = match rule.text.split_once('+') {
        Some((divisor, remainder)) => (digits(divisor), digits(remainder)),
        None => (digits(rule.text), Some(0)),
    };
    match (divisor.filter(|divisor| *divisor > 0), remainder) {
        (Some(divisor), Some(remainder)) => Ok(InWeeks {
            weekday,
            divisor,
            remainder: remainder % divisor,
        }),
        _ => Err(item.error(
            "is not a weekday of every nth week",
            "`mon%2` is every other Monday, `mon%2+1` the Mondays between them; `%0` is not allowed",
        )),
    }
}

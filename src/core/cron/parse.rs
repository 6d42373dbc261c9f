//! The text of an expression → its calendar and zone.
//!
//! ```text
//! expression  fields zone?  |  @special fields? zone?
//! fields      [second] minute hour day-of-month month day-of-week
//! field       item (, item)*        empty items after the first are skipped
//! item        *  a  a-b  ~  a~b     each with /step, which alone means */step
//!             d#n  d%m  d%m+p       day of week only
//! ```

use std::ops::Range;

use chrono::{Datelike, NaiveDate};

use super::{
    Cron, CronError,
    calendar::{Calendar, up_to},
    field::{Choice, FIELDS, WEEKDAY},
    list,
};
use crate::core::{
    stable_hash::{BASIS, extend},
    suggestion::nearest,
    zone::Zone,
};

/// What the specials stand for; what follows one is appended.
const SPECIALS: [(&str, &str); 8] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@noon", "0 12 * * *"),
    ("@hourly", "0 * * * *"),
];

/// An expression has to fire between this day (this was written in its year) and the year 2100. The
/// compiler checks the date.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
const END_YEAR: i32 = 2100;

const ALL_MONTHS: u64 = (1 << 13) - 2;

/// A piece of the expression, and where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// Bytes of the expression that it stands for; for a piece of a special, the special's.
    pub(super) length: usize,
}

impl Piece<'_> {
    pub(super) fn span(self) -> Range<usize> {
        self.at..self.at + self.length
    }

    /// The part from `start` to `end`.
    pub(super) fn part(self, start: usize, end: usize) -> Self {
        Self {
            text: &self.text[start..end],
            at: self.at + start,
            length: end - start,
        }
    }

    /// The parts before and after the first `separator` that isn't at the very start.
    pub(super) fn split(self, separator: char) -> Option<(Self, Self)> {
        let (at, _) = self
            .text
            .char_indices()
            .skip(1)
            .find(|(_, c)| *c == separator)?;
        let after = at + separator.len_utf8();
        Some((self.part(0, at), self.part(after, self.text.len())))
    }

    pub(super) fn error(self, problem: &str, help: impl Into<String>) -> CronError {
        CronError {
            span: self.span(),
            problem: format!("`{}` {problem}", self.text),
            help: Some(help.into()),
        }
    }
}

/// Reads an expression; random fields are chosen by `name`, or else by the text.
pub(super) fn parse(text: &str, name: &str) -> Result<Cron, CronError> {
    let start = text.len() - text.trim_start().len();
    let whole = Piece {
        text: text.trim(),
        at: start,
        length: text.trim().len(),
    };
    let pieces = pieces(whole)?;
    let (fields, zone) = split_zone(whole, &pieces)?;
    let zone = zone.map(read_zone).transpose()?;
    let seed = if name.is_empty() { whole.text } else { name };
    let seed = extend(BASIS, seed.bytes());
    // A random day or month may be one that never comes: then it is the one after it, up to all
    // days of a month.
    let attempts = if whole.text.contains('~') { 31 } else { 1 };
    for attempt in 0..attempts {
        let mut calendar = read_fields(fields, Choice { seed, attempt })?;
        if drop_impossible_days(&mut calendar) && fires(&calendar) {
            return Ok(Cron { calendar, zone });
        }
    }
    let (days, last) = (fields[fields.len() - 3], fields[fields.len() - 1]);
    Err(CronError {
        span: days.at..last.at + last.length,
        problem: "this never fires".to_owned(),
        help: Some("no day before 2100 matches day of month, month and day of week".to_owned()),
    })
}

/// The expression at its spaces and tabs, a special replaced by its fields.
fn pieces(whole: Piece<'_>) -> Result<Vec<Piece<'_>>, CronError> {
    if whole.text.contains(['\n', '\r']) {
        return Err(CronError {
            span: whole.span(),
            problem: "the expression has more than one line".to_owned(),
            help: None,
        });
    }
    let mut pieces = Vec::with_capacity(8);
    let mut start = 0;
    for (end, _) in whole
        .text
        .match_indices([' ', '\t'])
        .chain([(whole.text.len(), "")])
    {
        if start < end {
            pieces.push(whole.part(start, end));
        }
        start = end + 1;
    }
    let special = match pieces.first() {
        Some(first) if first.text.starts_with('@') => *first,
        _ => return Ok(pieces),
    };
    let known = SPECIALS.iter().find(|(word, _)| *word == special.text);
    let (_, fields) = known.ok_or_else(|| unknown_special(special))?;
    let fields = fields.split(' ').map(|text| Piece { text, ..special });
    pieces.splice(..1, fields);
    Ok(pieces)
}

fn unknown_special(special: Piece<'_>) -> CronError {
    let words = SPECIALS.map(|(word, _)| word);
    let near = nearest(special.text, words);
    special.error(
        "is not a schedule",
        match near {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("there are {}", words.join(", ")),
        },
    )
}

/// Parts the fields from the zone behind them: the sixth or seventh piece, to the end.
fn split_zone<'a, 'b>(
    whole: Piece<'a>,
    pieces: &'b [Piece<'a>],
) -> Result<(&'b [Piece<'a>], Option<Piece<'a>>), CronError> {
    let is_zone = |index: usize| {
        pieces
            .get(index)
            .is_some_and(|piece| looks_like_zone(piece.text))
    };
    let count = if is_zone(5) { 5 } else { pieces.len().min(6) };
    if count < 5 || pieces.len() > count && !is_zone(count) {
        return Err(CronError {
            span: whole.span(),
            problem: match pieces.len() {
                0 => "the expression is empty".to_owned(),
                1 => "this is 1 field".to_owned(),
                count => format!("these are {count} fields"),
            },
            help: Some(
                "an expression has 5 fields: minute, hour, day of month, month, day of week; \
                 or 6: second first; then perhaps a time zone"
                    .to_owned(),
            ),
        });
    }
    let (fields, rest) = pieces.split_at(count);
    let Some(first) = rest.first() else {
        return Ok((fields, None));
    };
    let zone = whole.part(first.at - whole.at, whole.text.len());
    if whole.text[..first.at - whole.at].ends_with('\t') {
        return Err(zone.error("comes after a tab", "put a space before the time zone"));
    }
    Ok((fields, Some(zone)))
}

/// Rather a zone than a sixth field: a word, but not a weekday's, or a sign with two digits.
fn looks_like_zone(text: &str) -> bool {
    let starts_with = |word: &str| {
        text.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    match text.as_bytes() {
        [b'+' | b'-', tens, ones, ..] => tens.is_ascii_digit() && ones.is_ascii_digit(),
        [first, ..] => {
            first.is_ascii_alphabetic() && !WEEKDAY.words.iter().any(|word| starts_with(word))
        }
        [] => false,
    }
}

fn read_zone(piece: Piece<'_>) -> Result<Zone, CronError> {
    piece.text.parse::<Zone>().map_err(|error| CronError {
        span: piece.span(),
        problem: error.to_string(),
        help: Some(match error.nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "zones are named like `Europe/Paris` or `UTC`; offsets are like `+05:30`, \
                     below 12 hours"
                .to_owned(),
        }),
    })
}

/// Reads five or six fields.
fn read_fields(pieces: &[Piece<'_>], choice: Choice) -> Result<Calendar, CronError> {
    let (and_day, and_weekday) = (pieces.len() - 3, pieces.len() - 1);
    let mut both = false;
    let mut calendar = Calendar {
        seconds: 1,
        minutes: 0,
        hours: 0,
        hourly: false,
        months: 0,
        days: None,
        weekdays: None,
        both: false,
    };
    for (index, piece) in pieces.iter().enumerate() {
        let mut piece = *piece;
        if (index == and_day || index == and_weekday) && piece.text.ends_with('&') {
            both = true;
            piece = piece.part(0, piece.text.len() - 1);
        }
        let position = index + FIELDS.len() - pieces.len();
        let field = FIELDS[position];
        let items = list::items(field, piece)?;
        match position {
            0 => calendar.seconds = list::read_times(field, &items, choice)?,
            1 => calendar.minutes = list::read_times(field, &items, choice)?,
            2 => (calendar.hours, calendar.hourly) = list::read_hours(&items, choice)?,
            3 => calendar.days = list::read_days(&items, choice)?,
            4 => calendar.months = list::read_times(field, &items, choice)?,
            _ => calendar.weekdays = list::read_weekdays(&items, choice)?,
        }
    }
    calendar.both = both && calendar.days.is_some() && calendar.weekdays.is_some();
    Ok(calendar)
}

/// Drops the months that have none of the days of month, and the days that none of the months has;
/// whether any are left. It matters where a weekday alone is enough, and is as fugit does it.
fn drop_impossible_days(calendar: &mut Calendar) -> bool {
    const LENGTHS: [u32; 13] = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let Some(days) = &mut calendar.days else {
        return true;
    };
    if calendar.months == ALL_MONTHS {
        return true;
    }
    let mut possible = 0;
    for (month, length) in LENGTHS.into_iter().enumerate() {
        let left = days.from_start & up_to(length);
        if calendar.months & 1 << month == 0 {
            continue;
        }
        if left == 0 && days.from_end == 0 {
            calendar.months ^= 1 << month;
        }
        possible |= left;
    }
    days.from_start = possible;
    calendar.months != 0
}

fn fires(calendar: &Calendar) -> bool {
    let first = calendar.next(FIRST_DAY.into());
    first.is_some_and(|first| first.year() < END_YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(text: &str, marked: &str, problem: &str, help: &str) {
        let error = parse(text, "").unwrap_err();
        assert_eq!(&text[error.span], marked);
        assert_eq!(error.problem, problem);
        let found = error.help.unwrap_or_default();
        assert!(found.contains(help), "{found}");
    }

    #[test]
    fn a_wrong_value_is_shown_with_what_is_allowed() {
        case("60 * * * *", "60", "`60` is not a minute", "0 to 59");
        case("0 5,25 * * *", "25", "`25` is not an hour", "24 is 0");
        case(
            "0 0 30-32 * *",
            "32",
            "`32` is not a day of the month",
            "1 to 31",
        );
        case("0 0 ? * *", "?", "`?` is not a day of the month", "`*`");
        case(
            "0 0 * January *",
            "January",
            "`January` is not a month",
            "`jan`",
        );
        case(
            "0 0 * * Monday",
            "Monday",
            "`Monday` is not a day of the week",
            "`mon`",
        );
        case("0 0 * * 5L", "5L", "`5L` is not a day of the week", "`5#L`");
        case("*/0 * * * *", "/0", "`/0` is not a step", "1 to 99");
        case("5- * * * *", "", "a minute is missing", "0 to 59");
        case(", * * * *", ",", "a minute is missing", "0 to 59");
        case(
            "0 0 L-3 * *",
            "L-3",
            "`L-3` counts from the end and then from the start",
            "",
        );
        case(
            "0 0 * * 1#6",
            "1#6",
            "`1#6` is not a day of a month's week",
            "1 to 5",
        );
        case(
            "0 0 * * 1%0",
            "1%0",
            "`1%0` is not a day of some weeks",
            "`mon%2`",
        );
    }

    #[test]
    fn the_number_of_fields_is_shown() {
        case("* * * *", "* * * *", "these are 4 fields", "5 fields");
        case("5m", "5m", "this is 1 field", "5 fields");
        case(" 1 2 3 4 5 6 7 ", "1 2 3 4 5 6 7", "these are 7 fields", "");
        case("  ", "", "the expression is empty", "5 fields");
        case(
            "0 0\n* * *",
            "0 0\n* * *",
            "the expression has more than one line",
            "",
        );
    }

    #[test]
    fn a_wrong_zone_is_shown_with_the_nearest() {
        let paris = "unknown time zone `Europe/Pariss`";
        case(
            "@hourly Europe/Pariss",
            "Europe/Pariss",
            paris,
            "`Europe/Paris`",
        );
        let york = "unknown time zone `America/New York`";
        case(
            "0 0 * * * America/New York",
            "America/New York",
            york,
            "`America/New_York`",
        );
        case("0 0 0 * * * utc", "utc", "unknown time zone `utc`", "`UTC`");
        case(
            "0 0 * * * +14:00",
            "+14:00",
            "unknown time zone `+14:00`",
            "12 hours",
        );
        case("0 0 * * *\tUTC", "UTC", "`UTC` comes after a tab", "space");
    }

    #[test]
    fn a_wrong_special_is_shown_with_those_there_are() {
        case("@dayly", "@dayly", "`@dayly` is not a schedule", "`@daily`");
        case(
            "@Daily 5",
            "@Daily",
            "`@Daily` is not a schedule",
            "`@daily`",
        );
        case(
            "@reboot",
            "@reboot",
            "`@reboot` is not a schedule",
            "@hourly",
        );
    }

    #[test]
    fn what_never_fires_is_refused() {
        case("0 0 30 2 *", "30 2 *", "this never fires", "2100");
        case("0 0 30 2 mon", "30 2 mon", "this never fires", "2100");
        case("0 0 -30 2 * UTC", "-30 2 *", "this never fires", "2100");
        case(
            "0 0 8-14& * mon#1",
            "8-14& * mon#1",
            "this never fires",
            "2100",
        );
        case(
            "0 0 * * mon%9999",
            "* * mon%9999",
            "this never fires",
            "2100",
        );
    }

    #[test]
    fn a_random_day_or_month_is_one_that_comes() {
        let texts = [
            "0 0 ~ 2 *",
            "0 0 25~ apr,feb *",
            "0 0 -31~-1 2 *",
            "0 0 31 ~ *",
            "0 0 ~ ~ *",
            "0 0 ~& * mon#1",
        ];
        for name in 0..100 {
            for text in texts {
                let parsed = parse(text, &name.to_string());
                assert!(parsed.is_ok(), "{text} of {name}: {parsed:?}");
            }
        }
        case("0 0 30~31 2 *", "30~31 2 *", "this never fires", "2100");
        case("0 0 ~ 13 *", "13", "`13` is not a month", "1 to 12");
    }

    #[test]
    fn months_without_a_listed_day_count_for_no_weekday() {
        let parsed = parse("0 0 31 1,2 mon", "").unwrap();
        assert_eq!(parsed, parse("0 0 31 1 mon", "").unwrap());
    }
}

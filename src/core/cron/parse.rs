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

use chrono::{DateTime, Datelike, NaiveDateTime};

use super::{
    Cron, CronError,
    calendar::{Calendar, Days, InWeeks, Weekdays, up_to},
    field::{DAY, FIELDS, Field, WEEKDAY},
};
use crate::core::zone::Zone;

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

/// An expression has to fire from here (when this was written) to the year 2100: 2026-01-01.
const FIRST_SECOND: i64 = 1_767_225_600;
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
    fn span(self) -> Range<usize> {
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
    let seed = hash(if name.is_empty() { whole.text } else { name });
    let mut calendar = read_fields(fields, seed)?;

    let days = fields[fields.len() - 3];
    let never = || CronError {
        span: days.at..whole.at + whole.length,
        problem: "this never fires".to_owned(),
        help: Some("no day before 2100 matches day of month, month and day of week".to_owned()),
    };
    if !drop_impossible_days(&mut calendar) || !fires(&calendar) {
        return Err(never());
    }
    Ok(Cron { calendar, zone })
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
    let Some(special) = pieces
        .first()
        .copied()
        .filter(|first| first.text.starts_with('@'))
    else {
        return Ok(pieces);
    };
    let known = SPECIALS.iter().find(|(word, _)| *word == special.text);
    let (_, fields) = known.ok_or_else(|| unknown_special(special))?;
    let fields = fields.split(' ').map(|text| Piece { text, ..special });
    pieces.splice(..1, fields);
    Ok(pieces)
}

fn unknown_special(special: Piece<'_>) -> CronError {
    let words = SPECIALS.map(|(word, _)| word);
    let lower = special.text.to_lowercase();
    let near = words
        .iter()
        .find(|word| strsim::damerau_levenshtein(word, &lower) <= 2);
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
        let what = if whole.text.is_empty() {
            "the expression is empty"
        } else {
            "these are"
        };
        return Err(CronError {
            span: whole.span(),
            problem: match pieces.len() {
                0 => what.to_owned(),
                1 => "this is 1 field".to_owned(),
                count => format!("{what} {count} fields"),
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
fn read_fields(pieces: &[Piece<'_>], seed: u64) -> Result<Calendar, CronError> {
    let (and_day, and_weekday) = (pieces.len() - 3, pieces.len() - 1);
    let mut both = false;
    let mut calendar = Calendar {
        seconds: 1,
        minutes: 0,
        hours: 0,
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
        let items = items(field, piece)?;
        match position {
            0 => calendar.seconds = read_times(field, &items, seed)?,
            1 => calendar.minutes = read_times(field, &items, seed)?,
            2 => calendar.hours = read_times(field, &items, seed)?,
            3 => calendar.days = read_days(&items, seed)?,
            4 => calendar.months = read_times(field, &items, seed)?,
            _ => calendar.weekdays = read_weekdays(&items, seed)?,
        }
    }
    calendar.both = both && calendar.days.is_some() && calendar.weekdays.is_some();
    Ok(calendar)
}

/// The items of a list. Empty ones are skipped, but the first, as the gem does.
fn items<'a>(field: &Field, list: Piece<'a>) -> Result<Vec<Piece<'a>>, CronError> {
    let mut items = Vec::new();
    let mut start = 0;
    for (end, _) in list.text.match_indices(',').chain([(list.text.len(), "")]) {
        if start < end {
            items.push(list.part(start, end));
        } else if start == 0 {
            return Err(CronError {
                span: list.span(),
                problem: format!("{} is missing", field.one),
                help: Some(field.allowed.to_owned()),
            });
        }
        start = end + 1;
    }
    Ok(items)
}

fn read_times(field: &Field, items: &[Piece<'_>], seed: u64) -> Result<u64, CronError> {
    let mut set = 0;
    for item in items {
        for value in field.values(*item, seed)? {
            set |= field.bit(value);
        }
    }
    Ok(set)
}

fn read_days(items: &[Piece<'_>], seed: u64) -> Result<Option<Days>, CronError> {
    let mut days = Days::default();
    let mut unrestricted = false;
    for item in items {
        let values = DAY.values(*item, seed)?;
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

fn read_weekdays(items: &[Piece<'_>], seed: u64) -> Result<Option<Weekdays>, CronError> {
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
            for value in WEEKDAY.values(*item, seed)? {
                let bit = weekday_bit(value);
                weekdays.from_start.iter_mut().for_each(|set| *set |= bit);
            }
        }
    }
    let unrestricted = items.iter().all(|item| item.text == "*");
    in_weeks.sort_unstable();
    in_weeks.dedup();
    weekdays.in_weeks = in_weeks.into_boxed_slice();
    Ok((!unrestricted).then_some(weekdays))
}

fn weekday_bit(value: i32) -> u8 {
    // The seven weekdays are in the lowest byte.
    WEEKDAY.bit(value).to_le_bytes()[0]
}

/// Reads what is behind a `#`: the week of the month, from 0, and whether it counts from the end.
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
            "is not a day of a month's week",
            "behind `#` is 1 to 5, -1 (the last) to -5, or `L`: `mon#1`",
        )
    })
}

/// Reads what is behind a `%`: the divisor of the week number, and perhaps `+` the remainder.
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
            "is not a day of some weeks",
            "`mon%2` is every other Monday and `mon%2+1` the others; `%0` is none",
        )),
    }
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
    let start: Option<NaiveDateTime> =
        DateTime::from_timestamp(FIRST_SECOND, 0).map(|at| at.naive_utc());
    let first = start.and_then(|start| calendar.next(start));
    first.is_some_and(|first| first.year() < END_YEAR)
}

/// FNV-1a: it has to give the same values for ever, in every version and on every machine.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

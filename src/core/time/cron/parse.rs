//! Parses the text of an expression into its calendar and zone.
//!
//! ```text
//! expression  fields zone?  |  @special fields? zone?
//! fields      [second] minute hour day-of-month month day-of-week
//! field       item (, item)*        empty items are skipped
//! item        *  a  a-b  ~  a~b     each may have a /step; /step alone means */step
//!             d#n  d%m  d%m+p       day of week only
//! ```

use chrono::{Datelike, NaiveDate};

use crate::core::{
    suggestion::nearest,
    time::{
        cron::{
            Cron,
            calendar::{Calendar, up_to},
            field::{Choice, FIELDS, WEEKDAY},
            list,
            piece::{CronError, Piece},
        },
        stable_hash::{BASIS, extend},
        zone::Zone,
    },
};

/// The specials and the fields that replace them. The text after a special stays.
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

/// An expression must fire between this day, in the year in which this was written, and the year 2100.
///
/// The compiler checks the date.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
const END_YEAR: i32 = 2100;

/// The number of fires that fugit's search must find. More would refuse expressions that work for decades.
const FIRES: usize = 5;

const ALL_MONTHS: u64 = (1 << 13) - 2;

impl Cron {
    /// Parses an expression as fugit 1.14 does.
    ///
    /// `name` is the name of the entry. It determines the values of random fields (`~`), so that every scheduler chooses
    /// the same values after every restart. If `name` is empty, the text of the expression determines them.
    ///
    /// # Errors
    /// Returns [`CronError`] for the first error in the text, if the expression never fires before 2100, and if it fires
    /// too rarely for fugit.
    pub fn parse(text: &str, name: &str) -> Result<Self, CronError> {
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
        // If a random day or month never comes, the next value is tried, for up to all days of a month.
        let attempts = if whole.text.contains('~') { 31 } else { 1 };
        let mut rare = false;
        for attempt in 0..attempts {
            let mut calendar = read_fields(fields, Choice { seed, attempt })?;
            if drop_impossible_days(&mut calendar) && fires(&calendar) {
                if fires_in_time(&calendar) {
                    return Ok(Self { calendar, zone });
                }
                rare = true;
            }
        }
        let (days, last) = (fields[fields.len() - 3], fields[fields.len() - 1]);
        let (problem, help) = if rare {
            let help = "resque-scheduler stops looking after about 2,000 days without a fire; \
                        name the months in which it can fire";
            ("this fires too rarely", help)
        } else {
            let help = "no day before 2100 matches day of month, month and day of week";
            ("this never fires", help)
        };
        Err(CronError {
            span: days.at..last.at + last.length,
            problem: problem.to_owned(),
            help: Some(help.to_owned()),
        })
    }
}

/// Splits the expression at spaces and tabs, and replaces a special by its fields.
fn pieces(whole: Piece<'_>) -> Result<Vec<Piece<'_>>, CronError> {
    if whole.text.contains(['\n', '\r']) {
        return Err(CronError {
            span: whole.span(),
            problem: "the expression has more than one line".to_owned(),
            help: None,
        });
    }
    let mut pieces: Vec<Piece<'_>> = Vec::with_capacity(8);
    let mut start = 0;
    for (end, _) in whole
        .text
        .match_indices([' ', '\t'])
        .chain([(whole.text.len(), "")])
    {
        if start < end {
            match pieces.last_mut() {
                // There may be spaces before the comma of an empty item. After `&`, a new field begins.
                Some(last) if whole.text[start..].starts_with(',') && !last.text.ends_with('&') => {
                    *last = whole.part(last.at - whole.at, end);
                }
                _ => pieces.push(whole.part(start, end)),
            }
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
        "is not a known schedule",
        match near {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("known are {}", words.join(", ")),
        },
    )
}

/// Splits the fields from the time zone, which is the text from the sixth or seventh piece to the end.
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
                1 => "the expression has only 1 field".to_owned(),
                count => format!("the expression has {count} fields"),
            },
            help: Some(
                "an expression has 5 fields (minute, hour, day of month, month, day of week), or \
                 6 with seconds first; a time zone may follow"
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

/// Whether a piece is a zone rather than a sixth field: a word that is not a weekday, or a sign with two digits.
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
            None => "write a zone such as `Europe/Paris` or `UTC`, or an offset such as `+05:30`, \
                     below 12 hours"
                .to_owned(),
        }),
    })
}

/// Parses five or six fields.
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

/// Drops months without any of the days of month, and days that are in none of the months, as fugit does.
///
/// Returns whether any months are left. This matters if a weekday alone is enough for a match.
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

/// Whether fugit finds the first [`FIRES`] fires.
///
/// fugit's search can be too long only for a weekday of some weeks, or if both day fields must match.
fn fires_in_time(calendar: &Calendar) -> bool {
    let weekdays = calendar.weekdays.as_ref();
    let may_be_rare = calendar.both || weekdays.is_some_and(|it| !it.in_weeks.is_empty());
    let mut at = Some(FIRST_DAY.into());
    for _ in 0..if may_be_rare { FIRES } else { 0 } {
        at = at.and_then(|at| calendar.next_in_steps(at));
    }
    at.is_some()
}

#[cfg(test)]
mod tests;

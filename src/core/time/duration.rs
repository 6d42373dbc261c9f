//! Parses durations as fugit 1.14 does, and shows them.
//!
//! ```text
//! plain     group (separator group)*     1h30m   1.5h   2 days and 3 hours   1h -10m   90
//! group     sign? (number unit)+         a sign applies to its whole group: -1h10m is -(1h10m)
//! separator spaces, commas, `and`, or nothing
//! ISO 8601  P date-parts (T time-parts)  P1DT2H
//! ```
//! Only the last number can be without a unit; it is in seconds.

use std::{fmt::Write, ops::Range};

use chrono::TimeDelta;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const MINUTE: i128 = 60;
const HOUR: i128 = 60 * MINUTE;
const DAY: i128 = 24 * HOUR;
const WEEK: i128 = 7 * DAY;
const MONTH: i128 = 30 * DAY;
const YEAR: i128 = 365 * DAY;

/// The words for units, whether their case matters, and their seconds.
///
/// A longer word comes before a shorter word with the same start. Case matters only for months and minutes, which would
/// be confused otherwise.
const UNITS: &[(&str, bool, i128)] = &[
    ("years", false, YEAR),
    ("year", false, YEAR),
    ("y", false, YEAR),
    ("months", true, MONTH),
    ("month", true, MONTH),
    ("M", true, MONTH),
    ("weeks", false, WEEK),
    ("week", false, WEEK),
    ("w", false, WEEK),
    ("days", false, DAY),
    ("day", false, DAY),
    ("d", false, DAY),
    ("hours", false, HOUR),
    ("hour", false, HOUR),
    ("h", false, HOUR),
    ("minutes", true, MINUTE),
    ("minute", true, MINUTE),
    ("mins", true, MINUTE),
    ("min", true, MINUTE),
    ("m", true, MINUTE),
    ("seconds", false, 1),
    ("second", false, 1),
    ("secs", false, 1),
    ("sec", false, 1),
    ("s", false, 1),
];

const UNITS_HELP: &str =
    "units are y, M (30 days), w, d, h, m (minutes) and s, or their names: `1h30m`, `15 minutes`";
const FORM_HELP: &str = "a duration is numbers with units: `1h30m`, `15 minutes`, `PT2H`";

/// Why a text is not a valid duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct DurationError {
    /// The whole text.
    pub text: String,
    /// The range of bytes in the text that the problem is about.
    pub span: Range<usize>,
    /// What is wrong there.
    pub problem: String,
    /// What is allowed there.
    pub help: &'static str,
}

/// Parses a duration, which may be zero or negative.
///
/// The result is exact to the nanosecond. A month is 30 days, and a year is 365 days.
///
/// # Errors
/// Returns [`DurationError`] if the text is not a duration, or if the duration is too long for [`TimeDelta`] (292
/// million years).
pub fn parse(text: &str) -> Result<TimeDelta, DurationError> {
    let end = text.trim_end().len();
    let at = (text.len() - text.trim_start().len()).min(end);
    let mut reader = Reader { text, at, end };
    let start = reader.at;
    let nanos = if reader.rest().starts_with(['P', 'p']) {
        reader.iso()?
    } else {
        reader.plain()?
    };
    delta(nanos).ok_or_else(|| reader.error(start..reader.end, "is too long", FORM_HELP))
}

/// Returns a length as text for people, in at most two units: `3 h 12 m`, `45 s`. `None` if it is less than a second.
pub fn words(length: TimeDelta) -> Option<String> {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut rest = length.num_seconds();
    let largest = UNITS.iter().position(|(unit, _)| rest >= *unit)?;
    let mut words = vec![];
    for (unit, name) in UNITS.into_iter().skip(largest).take(2) {
        if rest >= unit {
            words.push(format!("{} {name}", rest / unit));
        }
        rest %= unit;
    }
    Some(words.join(" "))
}

/// Returns a duration as text in days and smaller units, which [`parse`] accepts: `1h30m`, `-2d`, `0.5s`.
pub fn display(length: TimeDelta) -> String {
    let nanos =
        i128::from(length.num_seconds()) * NANOS_PER_SECOND + i128::from(length.subsec_nanos());
    let mut text = String::from(if nanos < 0 { "-" } else { "" });
    let (seconds, fraction) = (
        nanos.abs() / NANOS_PER_SECOND,
        nanos.abs() % NANOS_PER_SECOND,
    );
    let mut put = |count: i128, unit| {
        if count > 0 {
            // Writing to a String cannot fail.
            let _ = write!(text, "{count}{unit}");
        }
    };
    put(seconds / DAY, "d");
    put(seconds % DAY / HOUR, "h");
    put(seconds % HOUR / MINUTE, "m");
    if fraction == 0 {
        put(seconds % MINUTE, "s");
    } else {
        let fraction = format!("{fraction:09}");
        let _ = write!(
            text,
            "{}.{}s",
            seconds % MINUTE,
            fraction.trim_end_matches('0')
        );
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}

/// Converts nanoseconds to a `TimeDelta`; `None` if they do not fit.
fn delta(nanos: i128) -> Option<TimeDelta> {
    let seconds = i64::try_from(nanos.div_euclid(NANOS_PER_SECOND)).ok()?;
    let fraction = u32::try_from(nanos.rem_euclid(NANOS_PER_SECOND)).ok()?;
    TimeDelta::new(seconds, fraction)
}

/// Reads the text from `at` to `end`. Both are always at character boundaries.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..self.end]
    }

    /// Consumes the first of the `words` that comes next. Returns its index.
    fn take(&mut self, words: &[&str]) -> Option<usize> {
        let index = words.iter().position(|word| {
            let next = self.rest().get(..word.len());
            next.is_some_and(|next| next.eq_ignore_ascii_case(word))
        })?;
        self.at += words[index].len();
        Some(index)
    }

    /// Consumes digits and returns their range.
    fn digits(&mut self) -> Range<usize> {
        let from = self.at;
        let rest = self.rest();
        self.at += rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        from..self.at
    }

    fn plain(&mut self) -> Result<i128, DurationError> {
        let mut total = 0;
        let mut negative = false;
        let mut first = true;
        while first || self.at < self.end {
            let parted = !first && self.separator();
            let sign = self.take(&["-", "+"]);
            // A separator or a sign starts a new group.
            if first || parted || sign.is_some() {
                negative = sign == Some(0);
            }
            first = false;
            let group = self.at;
            let nanos = self.number_with_unit(Self::plain_unit)?;
            total = self.add(total, nanos, negative, group)?;
        }
        Ok(total)
    }

    fn iso(&mut self) -> Result<i128, DurationError> {
        let date = |reader: &mut Self| {
            let unit = reader.take(&["y", "m", "w", "d"])?;
            Some([YEAR, MONTH, WEEK, DAY][unit])
        };
        let time = |reader: &mut Self| {
            let unit = reader.take(&["h", "m", "s"])?;
            Some([HOUR, MINUTE, 1][unit])
        };
        self.take(&["p"]);
        let mut total = 0;
        let mut in_time = false;
        while self.at < self.end {
            if !in_time && self.take(&["t"]).is_some() {
                in_time = true;
            }
            let group = self.at;
            let negative = self.take(&["-"]).is_some();
            let nanos = if in_time {
                self.number_with_unit(time)?
            } else {
                self.number_with_unit(date)?
            };
            let whole = !self.text[group..self.at].contains('.');
            if !whole && !self.text[..self.at].ends_with(['s', 'S']) {
                let help = "only seconds have a fraction after a `P`";
                return Err(self.error(group..self.at, "is not whole", help));
            }
            total = self.add(total, nanos, negative, group)?;
        }
        Ok(total)
    }

    /// Consumes spaces, commas and `and`. Returns whether there were any.
    fn separator(&mut self) -> bool {
        let from = self.at;
        while self.take(&[" ", "\t", ",", "and"]).is_some() {}
        self.at > from
    }

    /// Returns `total` plus the nanoseconds of the group that starts at `from`.
    fn add(
        &self,
        total: i128,
        nanos: i128,
        negative: bool,
        from: usize,
    ) -> Result<i128, DurationError> {
        let nanos = if negative { -nanos } else { nanos };
        let sum = total.checked_add(nanos);
        sum.ok_or_else(|| self.error(from..self.at, "is too long", FORM_HELP))
    }

    /// Reads a number and its unit. Returns nanoseconds. `unit` consumes the unit and returns its seconds.
    fn number_with_unit(
        &mut self,
        unit: impl Fn(&mut Self) -> Option<i128>,
    ) -> Result<i128, DurationError> {
        let from = self.at;
        let whole = self.digits();
        let fraction = if self.take(&["."]).is_some() {
            self.digits()
        } else {
            self.at..self.at
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(self.not_a_number(from));
        }
        let number = from..self.at;
        let Some(seconds) = unit(self) else {
            return Err(self.not_a_unit(number));
        };
        nanos(&self.text[whole], &self.text[fraction], seconds)
            .ok_or_else(|| self.error(number, "is too much", FORM_HELP))
    }

    /// Consumes a unit and returns its seconds. At the end of the text, the unit is seconds.
    fn plain_unit(&mut self) -> Option<i128> {
        if self.at == self.end {
            return Some(1);
        }
        let word = self.rest().trim_start_matches(' ');
        let (unit, _, seconds) = UNITS.iter().find(|(unit, case_counts, _)| {
            word.get(..unit.len()).is_some_and(|next| {
                next == *unit || (!case_counts && next.eq_ignore_ascii_case(unit))
            })
        })?;
        self.at = self.end - word.len() + unit.len();
        Some(*seconds)
    }

    fn not_a_number(&self, from: usize) -> DurationError {
        if from == self.end {
            let problem = if from == 0 || self.text.trim().is_empty() {
                "a duration is missing".to_owned()
            } else {
                format!("`{}` ends too early", self.text.trim())
            };
            return DurationError {
                problem,
                ..self.error(from..from, "", FORM_HELP)
            };
        }
        // Only the start of the word is a unit: `hr`, `Minutes`.
        let before = self.text[..from].trim_end_matches(char::is_alphabetic);
        if before.len() < from {
            return self.error(self.word(before.len()), "is not a unit of time", UNITS_HELP);
        }
        self.error(self.word(from), "is not a number", FORM_HELP)
    }

    fn not_a_unit(&self, number: Range<usize>) -> DurationError {
        let word = self.rest().trim_start_matches(' ');
        let from = self.end - word.len();
        if word.starts_with(|c: char| c.is_alphabetic()) {
            self.error(self.word(from), "is not a unit of time", UNITS_HELP)
        } else {
            self.error(number, "has no unit of time", UNITS_HELP)
        }
    }

    /// Returns the range of the letters at `from`, or of one character if it is not a letter.
    fn word(&self, from: usize) -> Range<usize> {
        let rest = &self.text[from..self.end];
        let letters = rest
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(rest.len());
        let one = rest.chars().next().map_or(0, char::len_utf8);
        from..from + letters.max(one)
    }

    fn error(&self, span: Range<usize>, wrong: &str, help: &'static str) -> DurationError {
        DurationError {
            text: self.text.to_owned(),
            problem: format!("`{}` {wrong}", &self.text[span.clone()]),
            span,
            help,
        }
    }
}

/// Returns `whole.fraction` times `seconds` in whole nanoseconds, rounded towards zero.
fn nanos(whole: &str, fraction: &str, seconds: i128) -> Option<i128> {
    /// Digits after these are ignored: even for the unit year, they are less than a nanosecond.
    const DIGITS: usize = 18;
    let parse = |digits: &str| match digits {
        "" => Some(0),
        digits => digits.parse::<i128>().ok(),
    };
    let fraction = &fraction[..fraction.len().min(DIGITS)];
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let unit = seconds * NANOS_PER_SECOND;
    let whole = parse(whole)?.checked_mul(unit)?;
    whole.checked_add(parse(fraction)?.checked_mul(unit)? / scale)
}

#[cfg(test)]
mod tests;

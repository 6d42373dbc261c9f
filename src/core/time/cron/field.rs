//! The six fields of an expression, and the values of one item: a single value, a range, a step or a random value.

use crate::core::time::{
    cron::piece::{CronError, Piece},
    stable_hash::extend,
};

/// One of the six fields.
#[derive(Debug)]
pub(super) struct Field {
    kind: FieldKind,
    /// The noun for one value, as in "`60` is not a minute".
    one: &'static str,
    /// The text that tells users which values are allowed.
    allowed: &'static str,
    pub(super) min: i32,
    /// The maximum of `*`. The hour 24 and the weekday 7 are above it and mean 0.
    pub(super) max: i32,
    highest: i32,
    digits: usize,
    /// Names of the values, starting with `min`. Case is ignored.
    pub(super) words: &'static [&'static str],
}

/// The values that a field allows in addition to numbers from `min` to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldKind {
    /// No other values.
    Number,
    /// `L`, and days counted from the end of the month.
    DayOfMonth,
    /// `sun#2`, `sun%2`, and 7 for Sunday.
    DayOfWeek,
}

/// The fields in the order of an expression.
pub(super) const FIELDS: [&Field; 6] = [&SECOND, &MINUTE, &HOUR, &DAY, &MONTH, &WEEKDAY];

const SECOND: Field = Field {
    kind: FieldKind::Number,
    one: "a second",
    allowed: "seconds are 0 to 59",
    min: 0,
    max: 59,
    highest: 59,
    digits: 2,
    words: &[],
};

const MINUTE: Field = Field {
    one: "a minute",
    allowed: "minutes are 0 to 59",
    ..SECOND
};

pub(super) const HOUR: Field = Field {
    one: "an hour",
    allowed: "hours are 0 to 23, and 24 is 0",
    max: 23,
    highest: 24,
    ..SECOND
};

pub(super) const DAY: Field = Field {
    kind: FieldKind::DayOfMonth,
    one: "a day of the month",
    allowed: "days of the month are 1 to 31, -1 (the last) to -31, and `L` (the last)",
    min: 1,
    max: 31,
    highest: 31,
    ..SECOND
};

const MONTH: Field = Field {
    one: "a month",
    allowed: "months are 1 to 12, or jan to dec",
    min: 1,
    max: 12,
    highest: 12,
    words: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
    ..SECOND
};

pub(super) const WEEKDAY: Field = Field {
    kind: FieldKind::DayOfWeek,
    one: "a day of the week",
    allowed: "days of the week are 0 to 7 (0 and 7 are Sunday), or sun to sat",
    max: 6,
    highest: 7,
    digits: 1,
    words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    ..SECOND
};

/// What determines the values of random items.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    /// The same seed always chooses the same values.
    pub(super) seed: u64,
    /// The number of the attempt, from 0. Each attempt chooses the value after that of the previous attempt.
    pub(super) attempt: u64,
}

impl Field {
    /// Returns the values of an item in the order of its range; for a random item, only the chosen value.
    ///
    /// The last day of the month is -1. The hour 24 and the weekday 7 are not converted to 0.
    pub(super) fn values(&self, item: Piece<'_>, choice: Choice) -> Result<Vec<i32>, CronError> {
        let (range, step) = match item.text.find('/') {
            Some(slash) => (item.part(0, slash), Some(self.step(item, slash)?)),
            None => (item, None),
        };
        let is_random = range.text.contains('~');
        let (low, high) = self.bounds(range, step.is_some())?;
        let from = low.unwrap_or(self.min);
        let to = match (low, high) {
            (_, Some(high)) => high,
            // `1/2` runs to the end of the field, but in day of week it is Monday only.
            (Some(low), None) if !is_random && (step.is_none() || self.is_weekday()) => low,
            _ => self.max,
        };
        let values = self.walk(item, from, to)?.into_iter();
        let values: Vec<i32> = values.step_by(step.unwrap_or(1)).collect();
        if is_random {
            let count = values.len() as u64;
            let chosen = (self.hash(choice.seed) % count + choice.attempt) % count;
            let numbered = (0..).zip(values);
            return Ok(numbered
                .filter_map(|(index, value)| (index == chosen).then_some(value))
                .collect());
        }
        Ok(values)
    }

    /// Returns the bit of a value.
    pub(super) fn bit(&self, value: i32) -> u64 {
        // The hour 24 and the weekday 7 are 0. No other value is above the maximum.
        let above = value > self.max && self.min == 0;
        if above { 1 } else { 1 << value.unsigned_abs() }
    }

    /// Returns the values before and after a `-` or `~`; `None` for a value that is left out, and for `*`.
    fn bounds(
        &self,
        range: Piece<'_>,
        has_step: bool,
    ) -> Result<(Option<i32>, Option<i32>), CronError> {
        if range.text == "*" || range.text.is_empty() && has_step {
            return Ok((None, None));
        }
        if let Some(tilde) = range.text.find('~') {
            let bound = |piece: Piece<'_>| match piece.text {
                "" => Ok(None),
                _ => self.value(piece).map(Some),
            };
            let low = bound(range.part(0, tilde))?;
            return Ok((low, bound(range.part(tilde + 1, range.text.len()))?));
        }
        // A `-` as the first character is the sign of a day, so `split` skips it.
        match range.split('-') {
            Some((low, high)) => Ok((Some(self.value(low)?), Some(self.value(high)?))),
            None => Ok((Some(self.value(range)?), None)),
        }
    }

    /// Returns every value from `from` to `to`, wrapping at the end of the field if `from` is larger.
    fn walk(&self, item: Piece<'_>, from: i32, to: i32) -> Result<Vec<i32>, CronError> {
        let (mut min, mut max) = (self.min, self.max);
        let (mut from, mut to) = (from, to);
        if self.is_weekday() && from > max {
            // Sunday, written as 7, starts the week.
            to = if to == from { min } else { to };
            from = min;
        }
        match (from < 0, to < 0) {
            (true, true) => (min, max) = (-self.max, -1),
            (false, true) => to = max,
            (true, false) => {
                return Err(item.error(
                    "counts one end of a range from the end of the month and the other from its start",
                    "count both ends of a range from the same side: `-3--1`, `28-31`",
                ));
            }
            (false, false) => {}
        }
        let mut values = vec![from];
        let mut value = from;
        while value != to {
            value += 1;
            if value > max {
                value = min;
                // The hour 24 and the weekday 7 are the first value after the wrap.
                to = if to > max { min } else { to };
            }
            values.push(value);
        }
        Ok(values)
    }

    /// Parses one value.
    pub(super) fn value(&self, piece: Piece<'_>) -> Result<i32, CronError> {
        self.read(piece.text).ok_or_else(|| match piece.text {
            "" => self.missing(piece),
            text => piece.error(&format!("is not {}", self.one), self.suggestion(text)),
        })
    }

    pub(super) fn missing(&self, piece: Piece<'_>) -> CronError {
        CronError {
            span: piece.span(),
            problem: format!("{} is missing", self.one),
            help: Some(self.allowed.to_owned()),
        }
    }

    fn read(&self, text: &str) -> Option<i32> {
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        if let Some(index) = self.words.iter().position(|word| is(word)) {
            return i32::try_from(index).ok().map(|index| self.min + index);
        }
        if self.is_day() && (is("l") || is("last")) {
            return Some(-1);
        }
        let (digits, sign) = match text.strip_prefix('-') {
            Some(digits) if self.is_day() => (digits, -1),
            _ => (text, 1),
        };
        if digits.len() > self.digits || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let value = digits.parse().ok()?;
        (self.min..=self.highest)
            .contains(&value)
            .then_some(sign * value)
    }

    /// Parses the step after the `slash`.
    fn step(&self, item: Piece<'_>, slash: usize) -> Result<usize, CronError> {
        let digits = &item.text[slash + 1..];
        let is_number = digits.len() <= 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        match digits.parse() {
            Ok(0) if is_number && self.is_weekday() => Ok(1),
            Ok(step) if is_number && step > 0 => Ok(step),
            _ => {
                let step = item.part(slash, item.text.len());
                Err(step.error("is not a step", "a step is 1 to 99: `*/5`"))
            }
        }
    }

    /// Returns the help for an invalid value: what the user may have meant, or what is allowed.
    fn suggestion(&self, text: &str) -> String {
        let lower = text.to_lowercase();
        let word = self.words.iter().find(|word| lower.starts_with(**word));
        let last = lower
            .strip_suffix('l')
            .filter(|day| self.is_weekday() && self.read(day).is_some());
        match (word, last, text) {
            (_, Some(day), _) => format!("did you mean `{day}#L`, the last one of the month?"),
            (Some(word), ..) => format!("did you mean `{word}`?"),
            (.., "?") => "did you mean `*`?".to_owned(),
            _ => self.allowed.to_owned(),
        }
    }

    fn is_day(&self) -> bool {
        self.kind == FieldKind::DayOfMonth
    }

    fn is_weekday(&self) -> bool {
        self.kind == FieldKind::DayOfWeek
    }

    /// Returns a hash of seed and field whose bits are all well mixed (by the last steps of `SplitMix64`).
    fn hash(&self, seed: u64) -> u64 {
        let field = extend(seed, self.one.bytes());
        let mixed = (field ^ field >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

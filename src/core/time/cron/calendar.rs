//! The fields of a cron expression as bit sets, and the search for the next matching civil time, without time zones.
//!
//! The crate `cron` is not used because its schedules cannot express "the last day", "the second Monday", "every third
//! week" or "either day field". Its results would have to be filtered and merged, and it takes five times the memory
//! and twice the time. A property test below uses it as an oracle.

use chrono::{Datelike, Months, NaiveDate, NaiveDateTime, TimeDelta, Timelike};

/// The last year of the search, so that the search ends if nothing matches.
const LAST_YEAR: i32 = 2199;

/// The Monday of week 0 for `%`, as fugit counts weeks (`rweek`). The compiler checks the date.
const WEEK_ZERO: NaiveDate = NaiveDate::from_ymd_opt(2018, 12, 31).unwrap();

/// The number of steps after which fugit stops the search (`MAX_ITERATION_COUNT`).
const MOST_STEPS: usize = 2048;

/// The fields of an expression. Bit `n` of a set is the value `n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Calendar {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    pub(super) hours: u64,
    /// Whether the hour field is unrestricted, so that the entry follows elapsed time. A list of all hours does not.
    pub(super) hourly: bool,
    pub(super) months: u64,
    /// `None` if unrestricted.
    pub(super) days: Option<Days>,
    /// `None` if unrestricted.
    pub(super) weekdays: Option<Weekdays>,
    /// Whether a day must match both day of month and weekday (`&`). Otherwise, either is enough.
    pub(super) both: bool,
}

/// Days of the month, counted from both ends. Bit 1 is the first day in one set and the last day in the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) from_start: u64,
    pub(super) from_end: u64,
}

/// Days of week. Bit 0 of a set is Sunday.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Weekdays {
    /// Weekdays that are the first, second, … fifth of their month. A plain weekday is in all five sets.
    pub(super) from_start: [u8; 5],
    /// Weekdays that are the last, the second last, … of their month.
    pub(super) from_end: [u8; 5],
    /// Weekdays of some weeks only.
    pub(super) in_weeks: Box<[InWeeks]>,
}

/// A weekday in the weeks whose number leaves `remainder` when divided by `divisor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InWeeks {
    pub(super) weekday: u32,
    pub(super) divisor: u32,
    pub(super) remainder: u32,
}

impl Calendar {
    /// Returns the first matching civil time at or after `from`, a whole second.
    ///
    /// Returns `None` if there is none before the year 2200.
    pub(super) fn next(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        let day = from.date().day();
        let month = from.date().with_day(1)?;
        if month.year() > LAST_YEAR {
            return None;
        }
        if self.days_of(month) & 1 << day != 0
            && let Some(time) = self.time(from.hour(), from.minute(), from.second())
        {
            return from.date().and_hms_opt(time.0, time.1, time.2);
        }
        let date = self.date(month, day + 1)?;
        let (hour, minute, second) = self.time(0, 0, 0)?;
        date.and_hms_opt(hour, minute, second)
    }

    /// Returns the first matching civil time after `from`, if fugit finds it.
    ///
    /// Repeats the steps of `next_time` in fugit 1.14.
    pub(super) fn next_in_steps(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        let mut at = from;
        for _ in 0..MOST_STEPS {
            let month = at.date().with_day(1)?;
            let midnight = NaiveDateTime::from(at.date());
            let hour = i64::from(at.hour());
            let minute = hour * 60 + i64::from(at.minute());
            let has = |set: u64, value: u32| set & 1 << value != 0;
            at = if at == from {
                at + TimeDelta::seconds(1)
            } else if !has(self.months, at.month()) {
                month.checked_add_months(Months::new(1))?.into()
            } else if !has(self.days_of(month), at.day()) {
                midnight + TimeDelta::days(1)
            } else if !has(self.hours, at.hour()) {
                midnight + TimeDelta::hours(hour + 1)
            } else if !has(self.minutes, at.minute()) {
                midnight + TimeDelta::minutes(minute + 1)
            } else if !has(self.seconds, at.second()) {
                let second = next_bit(self.seconds, at.second());
                let second = second.or_else(|| Some(60 + next_bit(self.seconds, 0)?))?;
                midnight + TimeDelta::seconds(minute * 60 + i64::from(second))
            } else {
                return Some(at);
            };
        }
        None
    }

    /// Returns the first matching time of day at or after the given one.
    fn time(&self, hour: u32, minute: u32, second: u32) -> Option<(u32, u32, u32)> {
        let first_second = next_bit(self.seconds, 0)?;
        let first_minute = next_bit(self.minutes, 0)?;
        if next_bit(self.hours, hour) == Some(hour) {
            if next_bit(self.minutes, minute) == Some(minute)
                && let Some(second) = next_bit(self.seconds, second)
            {
                return Some((hour, minute, second));
            }
            if let Some(minute) = next_bit(self.minutes, minute + 1) {
                return Some((hour, minute, first_second));
            }
        }
        let hour = next_bit(self.hours, hour + 1)?;
        Some((hour, first_minute, first_second))
    }

    /// Returns the first matching date in `month` (given by its first day) from `day` on, or in a later month.
    fn date(&self, mut month: NaiveDate, mut day: u32) -> Option<NaiveDate> {
        loop {
            if let Some(day) = next_bit(self.days_of(month), day) {
                return month.with_day(day);
            }
            day = 1;
            let (year, later) = match next_bit(self.months, month.month() + 1) {
                Some(later) => (month.year(), later),
                None => (month.year() + 1, next_bit(self.months, 1)?),
            };
            month = NaiveDate::from_ymd_opt(year, later, 1)?;
            if month.year() > LAST_YEAR {
                return None;
            }
        }
    }

    /// Returns the set of matching days in `month`, which is given by its first day.
    fn days_of(&self, month: NaiveDate) -> u64 {
        if self.months & 1 << month.month() == 0 {
            return 0;
        }
        let length = u32::from(month.num_days_in_month());
        let all = up_to(length);
        match (self.days, &self.weekdays) {
            (None, None) => all,
            (Some(days), None) => days.of(length) & all,
            (None, Some(weekdays)) => weekdays.of(month, length) & all,
            (Some(days), Some(weekdays)) if self.both => {
                days.of(length) & weekdays.of(month, length) & all
            }
            (Some(days), Some(weekdays)) => (days.of(length) | weekdays.of(month, length)) & all,
        }
    }
}

impl Days {
    /// Returns the days in a month of `length` days. Bits above `length` have no meaning.
    fn of(self, length: u32) -> u64 {
        // Bit 1 of `from_end` (the last day) must become bit `length`, bit 2 the bit below it, and so on. Reversing the
        // bits moves bit 1 to bit 62.
        self.from_start | self.from_end.reverse_bits() >> (62 - length)
    }
}

impl Weekdays {
    /// Returns the weekdays that match in every week.
    pub(super) fn plain(&self) -> u8 {
        self.from_start
            .iter()
            .fold(0b111_1111, |all, set| all & set)
    }

    /// Returns the days in `month`, which is given by its first day and has `length` days.
    ///
    /// Bits above `length` have no meaning.
    fn of(&self, month: NaiveDate, length: u32) -> u64 {
        const WEEK: usize = 7;
        let first = month.weekday().num_days_from_sunday();
        // Counted from the end, weeks begin on the weekday of the first day after the month.
        let after = (first + length) % 7;
        let mut days = 0;
        for (week, set) in self.from_start.iter().enumerate() {
            days |= starting(*set, first) << (1 + WEEK * week);
        }
        for (week, set) in self.from_end.iter().enumerate() {
            // Shifted by a week (day 0 is bit 7), because a week may start before the first day of the month.
            let start = 7 + 1 + length as usize - WEEK * (week + 1);
            days |= starting(*set, after) << start >> WEEK;
        }
        for rule in &self.in_weeks {
            days |= rule.of(month, first, length);
        }
        days
    }
}

impl InWeeks {
    /// Returns the days in `month`, which is given by its first day, the weekday of that day, and its length in days.
    fn of(self, month: NaiveDate, first: u32, length: u32) -> u64 {
        let monday_is_zero = i64::from((first + 6) % 7);
        let since_zero = month.signed_duration_since(WEEK_ZERO).num_days() - monday_is_zero;
        let mut week = since_zero / 7;
        let mut day = 1 + i64::from((self.weekday + 6) % 7) - monday_is_zero;
        let mut days = 0;
        while day <= i64::from(length) {
            let matches = week.rem_euclid(i64::from(self.divisor)) == i64::from(self.remainder);
            if day >= 1 && matches {
                days |= 1 << day;
            }
            day += 7;
            week += 1;
        }
        days
    }
}

/// Rotates a set of weekdays for a week that starts on weekday `first`.
fn starting(set: u8, first: u32) -> u64 {
    let twice = u64::from(set) | u64::from(set) << 7;
    twice >> first & 0b111_1111
}

/// Returns the first value of `set` that is at least `from`.
pub(super) fn next_bit(set: u64, from: u32) -> Option<u32> {
    let rest = set.checked_shr(from)?;
    (rest != 0).then(|| from + rest.trailing_zeros())
}

/// Returns the set of 1 to `last`. `last` must be below 63.
pub(super) fn up_to(last: u32) -> u64 {
    (2 << last) - 2
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use proptest::{collection::btree_set, prelude::*};

    use super::*;
    use crate::core::time::cron::Cron;

    /// Generates the values of a field.
    fn list(min: u32, max: u32) -> impl Strategy<Value = Vec<u32>> {
        btree_set(min..=max, 1..6).prop_map(|set| set.into_iter().collect())
    }

    fn join(values: &[u32]) -> String {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        values.join(",")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn the_next_time_is_that_of_the_crate_cron(
            times in (list(0, 59), list(0, 59), list(0, 23)),
            (days, months, weekdays) in (list(1, 31), list(1, 12), list(0, 6)),
            field in 0..3,
            seconds in 0_i64..4_000_000_000,
        ) {
            let time = [join(&times.0), join(&times.1), join(&times.2)].join(" ");
            // The crate counts weekdays from 1, and requires both day fields to match.
            let theirs: Vec<u32> = weekdays.iter().map(|day| day + 1).collect();
            let (days, months) = (join(&days), join(&months));
            let (ours, theirs) = match field {
                0 => (format!("{time} {days} {months} *"), format!("{time} {days} {months} *")),
                1 => (
                    format!("{time} * {months} {}", join(&weekdays)),
                    format!("{time} * {months} {}", join(&theirs)),
                ),
                _ => (
                    format!("{time} {days}& {months} {}", join(&weekdays)),
                    format!("{time} {days} {months} {}", join(&theirs)),
                ),
            };
            let Ok(cron) = Cron::parse(&ours, "") else {
                return Ok(());
            };
            let from = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
            let before = from - chrono::TimeDelta::seconds(1);
            // The crate's schedules end with the year 2100.
            if let Some(at) = cron::Schedule::from_str(&theirs).unwrap().after(&before).next() {
                prop_assert_eq!(cron.calendar.next(from.naive_utc()), Some(at.naive_utc()));
            }
        }
    }

    #[test]
    fn the_sparsest_day_is_found() {
        let cron = Cron::parse("0 0 29& 2 mon", "").unwrap();
        let from = NaiveDate::from_ymd_opt(2072, 1, 1).unwrap();
        let next = cron.calendar.next(from.into()).unwrap();
        assert_eq!(next.to_string(), "2072-02-29 00:00:00");
        let next = cron.calendar.next(next + chrono::TimeDelta::seconds(1));
        // 2100 is not a leap year.
        assert_eq!(next.unwrap().to_string(), "2112-02-29 00:00:00");
    }
}

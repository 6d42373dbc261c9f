//! The canonical text of a calendar. It parses to an equal calendar.

use std::fmt;

use crate::core::time::cron::{
    Cron,
    calendar::{Calendar, Days, Weekdays, next_bit, up_to},
};

impl Cron {
    /// Returns the fields in numbers and ranges, without the zone. The text never changes.
    pub(in crate::core) fn canonical(&self) -> String {
        self.calendar.canonical()
    }
}

impl fmt::Display for Cron {
    /// Writes the expression in numbers and ranges. The text parses to an equal expression, for an entry of any name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())?;
        match self.zone {
            Some(zone) => write!(f, " {zone}"),
            None => Ok(()),
        }
    }
}

impl Calendar {
    /// Returns the fields in numbers and ranges.
    ///
    /// Redis stores this text as a part of a timing's identity (`core::time::identity`), so it must never change.
    fn canonical(&self) -> String {
        let seconds = match self.seconds {
            1 => String::new(),
            seconds => format!("{} ", times(seconds, 0, 59)),
        };
        let minutes = times(self.minutes, 0, 59);
        let hours = match times(self.hours, 0, 23).as_str() {
            // A list of all hours is not unrestricted, so it must not be shown as `*`.
            "*" if !self.hourly => "0-22,23".to_owned(),
            hours => hours.to_owned(),
        };
        let days = self.days.map_or("*".to_owned(), days);
        let and = if self.both { "&" } else { "" };
        let months = times(self.months, 1, 12);
        let weekdays = self.weekdays.as_ref().map_or("*".to_owned(), weekdays);
        format!("{seconds}{minutes} {hours} {days}{and} {months} {weekdays}")
    }
}

/// Returns the text of a field in which a full set is the same as `*`.
fn times(set: u64, min: u32, max: u32) -> String {
    // A set of one or two values is never shown as a step.
    let steps = 1..=if set.count_ones() > 2 { 30 } else { 0 };
    match steps.into_iter().find(|step| every(min, max, *step) == set) {
        Some(1) => "*".to_owned(),
        Some(step) => format!("*/{step}"),
        None => list(&values(set)),
    }
}

/// Returns the set of `min`, `min + step`, … up to `max`.
fn every(min: u32, max: u32, step: usize) -> u64 {
    (min..=max).step_by(step).fold(0, |set, n| set | 1 << n)
}

fn days(days: Days) -> String {
    // A list of all days is a restriction, but `1-31` would be unrestricted.
    if days.from_start == up_to(31) {
        let from_start = "1-30,31".to_owned();
        let from_end = days_from_end(days.from_end);
        return join([from_start, from_end]);
    }
    join([list(&values(days.from_start)), days_from_end(days.from_end)])
}

fn days_from_end(set: u64) -> String {
    let mut days: Vec<i32> = values(set).into_iter().map(|day| -day).collect();
    days.reverse();
    list(&days)
}

fn weekdays(weekdays: &Weekdays) -> String {
    let plain = weekdays.plain();
    let mut items = vec![list(&values(u64::from(plain)))];
    let counted = |sets: [u8; 5], sign: &'static str| {
        sets.into_iter().enumerate().flat_map(move |(week, set)| {
            let days = values(u64::from(set & !plain));
            days.into_iter()
                .map(move |day| format!("{day}#{sign}{}", week + 1))
        })
    };
    items.extend(counted(weekdays.from_start, ""));
    items.extend(counted(weekdays.from_end, "-"));
    items.extend(weekdays.in_weeks.iter().map(|rule| {
        let (weekday, divisor, remainder) = (rule.weekday, rule.divisor, rule.remainder);
        format!("{weekday}%{divisor}+{remainder}")
    }));
    join(items)
}

/// Returns the values of a set in ascending order.
fn values(set: u64) -> Vec<i32> {
    let next = |from| next_bit(set, from);
    std::iter::successors(next(0), |last| next(last + 1))
        .map(u32::cast_signed)
        .collect()
}

/// Returns values as a list with ranges, such as `1,3-5,8`.
fn list(values: &[i32]) -> String {
    let runs = values.chunk_by(|a, b| a + 1 == *b);
    join(runs.map(|run| match run {
        [first, _, .., last] => format!("{first}-{last}"),
        few => join(few.iter().map(ToString::to_string)),
    }))
}

/// Joins the items that are not empty with commas.
fn join(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().filter(|item| !item.is_empty()).collect();
    items.join(",")
}

#[cfg(test)]
mod tests {
    use crate::core::time::cron::Cron;

    #[track_caller]
    fn case(text: &str, expected: &str) {
        let cron = Cron::parse(text, "").unwrap();
        assert_eq!(cron.to_string(), expected);
        assert_eq!(Cron::parse(expected, ""), Ok(cron));
    }

    #[test]
    fn an_expression_is_shown_in_numbers_and_ranges() {
        case(
            "*/5 2 * * mon-fri Europe/Paris",
            "*/5 2 * * 1-5 Europe/Paris",
        );
        case("0,30 9,10,11,13 1 jan,feb *", "0,30 9-11,13 1 1,2 *");
        case("30 */5 * * * *", "30 */5 * * * *");
        case("0 0-24 * * *", "0 * * * *");
        case("0 0-11,12-23 * * *", "0 0-22,23 * * *");
        case("* * * * * *", "* * * * * *");
        case("0 */1 * * *", "0 * * * *");
        case("0 0-24 * * *", "0 * * * *");
        case("@daily +0530", "0 0 * * * +05:30");
    }

    #[test]
    fn days_are_shown_from_both_ends() {
        case("0 0 -1--3 * *", "0 0 -31--3,-1 * *");
        case("0 0 L,15,-3 * *", "0 0 15,-3,-1 * *");
        case("0 0 1-7& * mon", "0 0 1-7& * 1");
    }

    #[test]
    fn a_full_list_of_days_stays_a_restriction() {
        case("0 0 1-15,16-31 * *", "0 0 1-30,31 * *");
        case("0 0 1 * sun-sat", "0 0 1 * 0-6");
    }

    #[test]
    fn weekdays_of_some_weeks_are_shown() {
        case("0 0 * * fri#last,mon#2,sat", "0 0 * * 6,1#2,5#-1");
        case("0 0 * * mon%2,sun%4+5", "0 0 * * 0%4+1,1%2+0");
    }
}

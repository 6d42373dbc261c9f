//! Parses times as people type them in commands: `2026-12-24 15:00`, `in 5m`, `5m ago`, `tomorrow 09:00`.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use crate::core::time::{
    duration,
    instant::{self, is_sensible},
    zone::{Instants, Zone},
};

/// The formats of a date with a time of day.
const CIVIL: [&str; 4] = [
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%S",
];

/// The formats of a time of day.
const CLOCK: [&str; 2] = ["%H:%M", "%H:%M:%S"];

/// The smallest integer that is read as Unix seconds (in 1973). Smaller ones are probably typing errors.
const UNIX: i64 = 100_000_000;

/// The error for a text that is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a time; write RFC 3339 (2026-12-24T15:00:00Z), `2026-12-24 15:00`, `15:00`, `tomorrow 09:00`, `in 5m`, \
     `5m ago`, `now`, or Unix seconds"
)]
pub struct PhraseError(String);

/// Returns the instant that a text names at `now`.
///
/// Dates and times of day are in `zone`. A time that clocks skip is the end of the gap. A time that occurs twice is its
/// first occurrence.
///
/// # Errors
/// Returns [`PhraseError`] if the text is not a time, or if the time is not from 1970 to 2199.
pub fn parse(text: &str, now: DateTime<Utc>, zone: Zone) -> Result<DateTime<Utc>, PhraseError> {
    let trimmed = text.trim();
    let found = relative(trimmed, now)
        .or_else(|| absolute(trimmed))
        .or_else(|| civil(trimmed, now, zone));
    let found = found.filter(|at| is_sensible(*at));
    found.ok_or_else(|| PhraseError(text.to_owned()))
}

fn relative(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if text == "now" {
        return Some(now);
    }
    if let Some(length) = text.strip_prefix("in ") {
        return Some(instant::after(now, duration::parse(length).ok()?));
    }
    let length = text.strip_suffix(" ago")?;
    Some(instant::before(now, duration::parse(length).ok()?))
}

fn absolute(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let seconds: i64 = text.parse().ok()?;
    DateTime::from_timestamp(seconds, 0).filter(|_| seconds >= UNIX)
}

fn civil(text: &str, now: DateTime<Utc>, zone: Zone) -> Option<DateTime<Utc>> {
    let whole = CIVIL
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let civil = whole.or_else(|| {
        let (day, clock) = text.split_once(' ').unwrap_or((text, ""));
        let (day, clock) = match day_of(day, now, zone) {
            Some(day) => (day, clock),
            None if text.is_empty() => return None,
            None => (day_of("today", now, zone)?, text),
        };
        Some(day.and_time(time_of_day(clock)?))
    })?;
    Some(match zone.instants(civil)? {
        Instants::Once(at) | Instants::Twice { first: at, .. } | Instants::Never { end: at } => at,
    })
}

fn day_of(word: &str, now: DateTime<Utc>, zone: Zone) -> Option<NaiveDate> {
    let today = zone.local(now).date_naive();
    match word {
        "today" => Some(today),
        "tomorrow" => today.checked_add_days(Days::new(1)),
        "yesterday" => today.checked_sub_days(Days::new(1)),
        date => NaiveDate::parse_from_str(date, "%Y-%m-%d").ok(),
    }
}

/// Parses a time of day. An empty text is midnight.
fn time_of_day(text: &str) -> Option<NaiveTime> {
    if text.is_empty() {
        return Some(NaiveTime::MIN);
    }
    CLOCK
        .iter()
        .find_map(|form| NaiveTime::parse_from_str(text, form).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(text: &str, expected: &str) {
        let now = "2026-11-24T22:30:00Z".parse().unwrap();
        let zone = "Europe/Stockholm".parse().unwrap();
        let found = parse(text, now, zone).unwrap();
        assert_eq!(found, expected.parse::<DateTime<Utc>>().unwrap(), "{text}");
    }

    #[test]
    fn times_are_read_as_people_type_them() {
        case("now", "2026-11-24T22:30:00Z");
        case("in 5m", "2026-11-24T22:35:00Z");
        case("in 1h 30m", "2026-11-25T00:00:00Z");
        case("2 days ago", "2026-11-22T22:30:00Z");
        case("2026-12-24T15:00:00+01:00", "2026-12-24T14:00:00Z");
        case("1795454398", "2026-11-23T17:19:58Z");
    }

    #[test]
    fn days_and_times_of_day_are_those_of_the_zone() {
        case("2026-12-24 15:00", "2026-12-24T14:00:00Z");
        case("2026-12-24T15:00:30", "2026-12-24T14:00:30Z");
        case("2026-12-24", "2026-12-23T23:00:00Z");
        case("2026-07-01", "2026-06-30T22:00:00Z");
        case("09:00", "2026-11-24T08:00:00Z");
        case("today", "2026-11-23T23:00:00Z");
        case("tomorrow 09:00", "2026-11-25T08:00:00Z");
        case("yesterday 23:59:59", "2026-11-23T22:59:59Z");
        // A time in the gap from 02:00 to 03:00, and a time in the hour that occurs twice.
        case("2026-03-29 02:30", "2026-03-29T01:00:00Z");
        case("2026-10-25 02:30", "2026-10-25T00:30:00Z");
    }

    #[test]
    fn a_text_that_is_not_a_time_is_refused() {
        let now = DateTime::UNIX_EPOCH;
        for text in [
            "",
            "soon",
            "5m",
            "in",
            "in soon",
            "25:00",
            "tomorrow 9",
            "42",
            "2026-13-01",
            "9999-01-01",
        ] {
            let error = parse(text, now, Zone::UTC).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("`{text}` is not a time"))
            );
        }
    }
}

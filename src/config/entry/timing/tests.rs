//! Which keys of an entry give which timing, and the errors in them.

use super::*;
use crate::config::{Source, read::toml};

const PARIS: Zone = Zone::Named(chrono_tz::Europe::Paris);

/// Returns the timing of an entry with these lines, and the errors and warnings about it.
fn read(lines: &str) -> (Option<Timing>, Vec<String>) {
    let source = Source::new("a.toml", lines);
    let fields = toml::parse(&source).unwrap().root;
    let mut table = Table::new(&fields, &source);
    let timing = timing("name", &mut table, PARIS).map(|(timing, _)| timing);
    let mistakes = table.finish();
    (
        timing,
        mistakes.iter().map(|it| it.mistake.to_string()).collect(),
    )
}

#[track_caller]
fn case(lines: &str, timing: &str) {
    let (found, mistakes) = read(lines);
    assert_eq!(mistakes, [""; 0]);
    assert_eq!(found.unwrap().to_string(), timing);
}

#[track_caller]
fn refused(lines: &str, mistake: &str) {
    assert_eq!(read(lines).1, [mistake], "{lines}");
}

#[test]
fn a_moment_is_a_duration_or_a_time() {
    let first = |value: &str, shown: &str| {
        case(
            &format!("every = '1h'\nfirst = {value}"),
            &format!("every 1h, first {shown}"),
        );
    };
    first("'5m'", "in 5m");
    first("300", "in 5m");
    first("'now'", "in 0s");
    first("'2026-12-24T15:00:00Z'", "at 2026-12-24T15:00:00Z");
    first("2026-12-24T15:00:00+01:00", "at 2026-12-24T14:00:00Z");
    first("'2026-12-24 15:00'", "at 2026-12-24T14:00:00Z");
    first("2026-12-24T15:00:00", "at 2026-12-24T14:00:00Z");
    first("2026-12-24t15:00:00.5", "at 2026-12-24T14:00:00Z");
    first("2026-07-01", "at 2026-06-30T22:00:00Z");
    // Clocks go forward and skip this time.
    first("'2026-03-29 02:30'", "at 2026-03-29T01:00:00Z");
    for refusal in [
        "-5",
        "'-5m'",
        "'1.5s'",
        "'soon'",
        "15:00:00",
        "true",
        "'2026-13-01'",
        "'+262142-12-31'",
        "'-262143-01-01 00:00'",
    ] {
        let shown = refusal.trim_matches('\'');
        let (_, mistakes) = read(&format!("every = '1h'\nfirst = {refusal}"));
        assert!(
            mistakes[0].contains("is neither a duration nor a time"),
            "{shown}: {mistakes:?}"
        );
    }
}

#[test]
fn options_can_be_next_to_the_pattern_or_in_the_entry() {
    let all = "every 1h, first in 5m, last in 1d, 3 times";
    case(
        "every = '1h'\nfirst_in = '5m'\nlast_in = '1d'\ntimes = 3",
        all,
    );
    case(
        "every = ['1h', { first_in = '5m', last_in = '1d', times = 3 }]",
        all,
    );
    case("every = ['1h']", "every 1h");
    case(
        "cron = ['@daily', { first = 'now' }]",
        "cron 0 0 * * * in Europe/Paris, first in 0s",
    );
    refused(
        "every = ['1h', { fist_in = '5m' }]",
        "unknown key `fist_in`",
    );
    refused(
        "every = []",
        "expected a value, or a list of a value and options, found an array",
    );
    refused("every = ['1h', 5]", "expected a table, found an integer");
    refused(
        "every = '1h'\ntimes = 0",
        "`times` must be a whole number of at least 1",
    );
    refused(
        "every = '1h'\nfirst_in = 1\nfirst_at = 'now'",
        "both `first_in` and `first_at` are given",
    );
}

#[test]
fn an_empty_item_in_a_cron_list_is_a_warning() {
    let (timing, mistakes) = read("cron = '1,,2 * * * *'");
    assert_eq!(
        timing.unwrap().to_string(),
        "cron 1,2 * * * * in Europe/Paris"
    );
    assert_eq!(mistakes, ["an empty item in the list is ignored"]);
    assert!(Mistake::EmptyItem.is_warning());
}

#[test]
fn an_entry_has_at_most_one_pattern() {
    case("at = '2026-12-24 15:00'", "once at 2026-12-24T14:00:00Z");
    case("in = '10m'\njitter = 30", "once in 10m, jitter 30s");
    refused("at = '2026'", "`2026` is neither a duration nor a time");
    refused(
        "at = 20261224",
        "`20261224` is neither a duration nor a time",
    );
    refused("in = 1\nevery = 2", "both `every` and `in` are given");
    refused(
        "cron = '@daily'\nevery = 2",
        "both `cron` and `every` are given",
    );
    refused(
        "at = '2026-12-24 15:00'\ntimes = 2",
        "`times` has no effect without `cron` or `every`",
    );
    refused("jitter = 5", "`jitter` has no effect without a timing");
    refused(
        "every = 5\ntimezone = 'UTC'",
        "`timezone` has no effect without `cron` or a time",
    );
}

#[test]
fn an_end_must_be_late_enough_for_a_fire() {
    case(
        "cron = '@daily'\nstarts_at = 2026-12-01\nends_at = '2026-12-24 00:00'",
        "cron 0 0 * * * in Europe/Paris, from 2026-11-30T23:00:00Z, until 2026-12-23T23:00:00Z",
    );
    refused(
        "every = 5\nstarts_at = 2026-12-01\nends_at = 2026-12-01",
        "no fire time is between `starts_at` and `ends_at`",
    );
    refused(
        "cron = '0 0 1 1 *'\nstarts_at = 2026-02-01\nends_at = 2026-12-01",
        "no fire time is between `starts_at` and `ends_at`",
    );
    refused(
        "every = 5\nfirst_in = '2h'\nlast_in = '1h'",
        "the last fire must be after the first one",
    );
    refused(
        "every = 5\njitter = 5",
        "`jitter` must be shorter than the interval",
    );
    refused("every = 5\nstarts_at = '5m'", "`5m` is not a time");
}

//! When an expression fires, also across changes of daylight saving time.

use chrono::{Datelike, NaiveDate};
use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

use super::*;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn cron(text: &str) -> Cron {
    Cron::parse(text, "").unwrap()
}

/// Checks the next fires of `text` after `after`, in the civil time of its zone.
#[track_caller]
fn case(text: &str, after: &str, expected: &[&str]) {
    let cron = cron(text);
    let zone = cron.zone().unwrap_or(Zone::UTC);
    let mut at = utc(after);
    for expected in expected {
        at = cron.next_after(at, zone).unwrap();
        let shown = zone.local(at).format("%m-%d %H:%M:%S %:z").to_string();
        assert_eq!(shown, *expected);
    }
}

#[test]
fn the_next_fire_is_strictly_later() {
    case(
        "0 12 * * *",
        "2026-06-01T12:00:00Z",
        &["06-02 12:00:00 +00:00"],
    );
    case(
        "0 12 * * *",
        "2026-06-01T11:59:59.9Z",
        &["06-01 12:00:00 +00:00"],
    );
    case(
        "0 12 * * *",
        "2026-06-01T12:00:00.1Z",
        &["06-02 12:00:00 +00:00"],
    );
}

#[test]
fn a_fixed_time_in_a_gap_fires_once_when_the_gap_ends() {
    case(
        "*/20 2 * * * America/New_York",
        "2026-03-08T00:00:00Z",
        &[
            "03-08 03:00:00 -04:00",
            "03-09 02:00:00 -04:00",
            "03-09 02:20:00 -04:00",
        ],
    );
    // Lord Howe Island skips half an hour.
    case(
        "15 2 * * * Australia/Lord_Howe",
        "2026-10-03T00:00:00Z",
        &["10-04 02:30:00 +11:00", "10-05 02:15:00 +11:00"],
    );
    // Samoa skipped 30 December 2011.
    case(
        "0 9 * * * Pacific/Apia",
        "2011-12-29T19:00:00Z",
        &["12-31 00:00:00 +14:00", "12-31 09:00:00 +14:00"],
    );
}

#[test]
fn a_fixed_time_in_a_fold_fires_in_the_first_pass() {
    case(
        "*/30 1 * * * America/New_York",
        "2026-11-01T04:00:00Z",
        &[
            "11-01 01:00:00 -04:00",
            "11-01 01:30:00 -04:00",
            "11-02 01:00:00 -05:00",
        ],
    );
    // `after` is in the second pass: the rest of that pass does not fire.
    case(
        "*/30 1,3 * * * America/New_York",
        "2026-11-01T06:10:00Z",
        &["11-01 03:00:00 -05:00"],
    );
}

#[test]
fn an_hourly_entry_skips_the_gap_and_fires_in_both_passes_of_a_fold() {
    case(
        "0 * * * * America/New_York",
        "2026-03-08T06:00:00Z",
        &["03-08 03:00:00 -04:00"],
    );
    case(
        "30 * * * * America/New_York",
        "2026-11-01T05:00:00Z",
        &[
            "11-01 01:30:00 -04:00",
            "11-01 01:30:00 -05:00",
            "11-01 02:30:00 -05:00",
        ],
    );
    // This day comes again in a year only, but its last hour has a second pass.
    case(
        "30 * 17 2 * America/Sao_Paulo",
        "2018-02-18T01:30:00Z",
        &["02-17 23:30:00 -03:00", "02-17 00:30:00 -03:00"],
    );
    let list = "30 0-11,12-23 * * * America/New_York"; // a list of all hours is not unrestricted
    case(list, "2026-11-01T05:30:00Z", &["11-01 02:30:00 -05:00"]);
}

#[test]
fn there_is_no_fire_from_the_year_2200_on() {
    let daily = cron("0 0 * * *");
    let zone = "Europe/Paris".parse().unwrap();
    assert_eq!(daily.next_after(DateTime::<Utc>::MAX_UTC, zone), None);
    assert_eq!(daily.next_after(utc("2200-01-01T00:00:00Z"), zone), None);
    let early = daily.next_after(utc("0001-01-01T00:00:00Z"), Zone::UTC);
    assert_eq!(early, Some(utc("0001-01-02T00:00:00Z")));
}

#[test]
fn a_random_field_depends_only_on_the_name_of_the_entry() {
    let chosen = |text: &str, name: &str| Cron::parse(text, name).unwrap().to_string();
    assert_eq!(chosen("~ ~ ~ ~ ~", "clean_up"), "9 1 18 1 1");
    assert_eq!(chosen("~ 2 * * *", "clean_up"), "9 2 * * *");
    assert_eq!(chosen("~ 2 * * *", "other"), "11 2 * * *");
    assert_eq!(chosen("~ 2 * * *", ""), chosen("~ 2 * * *", "~ 2 * * *"));
    assert_eq!(chosen("58~2/4 * * * *", "a"), "58 * * * *");
}

/// Whether a civil time matches, computed in the simplest way.
fn matches(calendar: &Calendar, civil: NaiveDateTime) -> bool {
    let has = |set: u64, value: u32| set >> value & 1 == 1;
    let in_month = has(calendar.months, civil.month());
    let in_hour = has(calendar.minutes, civil.minute()) && has(calendar.hours, civil.hour());
    if !(in_month && in_hour && has(calendar.seconds, civil.second())) {
        return false;
    }
    let next_month = (civil.date().with_day(1).unwrap() + TimeDelta::days(31)).with_day(1);
    let last = next_month.unwrap().pred_opt().unwrap().day();
    let left = last - civil.day();
    let weekday = civil.weekday().num_days_from_sunday();
    let week_zero = NaiveDate::from_ymd_opt(2018, 12, 31).unwrap();
    let week = (civil.date() - week_zero).num_days().div_euclid(7);
    let day = calendar
        .days
        .map(|days| has(days.from_start, civil.day()) || has(days.from_end, left + 1));
    let in_week = calendar.weekdays.as_ref().map(|weekdays| {
        let nth = |sets: [u8; 5], days: u32| has(u64::from(sets[days as usize / 7]), weekday);
        nth(weekdays.from_start, civil.day() - 1)
            || nth(weekdays.from_end, left)
            || weekdays.in_weeks.iter().any(|rule| {
                let remainder = week.rem_euclid(i64::from(rule.divisor));
                rule.weekday == weekday && remainder == i64::from(rule.remainder)
            })
    });
    match (day, in_week) {
        (Some(day), Some(in_week)) if calendar.both => day && in_week,
        (Some(day), Some(in_week)) => day || in_week,
        (day, in_week) => day.unwrap_or(true) && in_week.unwrap_or(true),
    }
}

/// Returns the first fire within 24 hours after `after`, by the rules in the docs of the module `cron`.
///
/// Tries every minute.
fn next_by_rule(cron: &Cron, after: DateTime<Utc>, zone: Zone) -> Option<DateTime<Utc>> {
    let hours = |hours| TimeDelta::hours(hours);
    let minutes = |from: i64, to: i64| (from.div_euclid(60)..=to.div_euclid(60)).map(|m| m * 60);
    let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
    let end = after + hours(24);
    if cron.calendar.hourly {
        return minutes(after.timestamp(), end.timestamp())
            .map(time)
            .find(|at| *at > after && matches(&cron.calendar, zone.civil(*at).unwrap()));
    }
    let here = zone.civil(after).unwrap().and_utc();
    let (from, to) = (here - hours(26), here + hours(50));
    minutes(from.timestamp(), to.timestamp())
        .map(|seconds| time(seconds).naive_utc())
        .filter(|civil| matches(&cron.calendar, *civil))
        .map(|civil| match zone.instants(civil).unwrap() {
            Instants::Once(at)
            | Instants::Twice { first: at, .. }
            | Instants::Never { end: at } => at,
        })
        .filter(|at| *at > after && *at <= end)
        .min()
}

prop_compose! {
    fn item(min: u32, max: u32)(
        low in min..=max,
        high in min..=max,
        step in 1_u32..12,
        form in 0..8,
    ) -> String {
        match form {
            0 | 1 => "*".to_owned(),
            2 => format!("{low}"),
            3 => format!("{low}-{high}"),
            4 => format!("{low}-{high}/{step}"),
            5 => format!("*/{step}"),
            6 => format!("{low}/{step}"),
            _ => format!("{low},{high}"),
        }
    }
}

fn day() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("*".to_owned()),
        2 => item(1, 31),
        1 => Just("L".to_owned()),
        1 => (1..9_u32, 1..9_u32).prop_map(|(a, b)| format!("-{a}--{b}")),
        1 => item(1, 31).prop_map(|day| format!("{day}&")),
    ]
}

fn weekday() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("*".to_owned()),
        2 => item(0, 7),
        1 => (0..8_u32, 1..6_u32).prop_map(|(day, nth)| format!("{day}#{nth}")),
        1 => (0..8_u32, 1..6_u32).prop_map(|(day, nth)| format!("{day}#-{nth},3")),
        1 => (0..8_u32, 1..5_u32, 0..9_u32).prop_map(|(day, m, p)| format!("{day}%{m}+{p}")),
    ]
}

/// Generates expressions without seconds.
fn any_cron() -> impl Strategy<Value = Cron> {
    (item(0, 59), item(0, 24), day(), item(1, 12), weekday())
        .prop_map(|(minute, hour, day, month, weekday)| {
            format!("{minute} {hour} {day} {month} {weekday}")
        })
        .prop_filter_map("fires", |text| Cron::parse(&text, "").ok())
}

fn any_zone() -> impl Strategy<Value = Zone> {
    proptest::sample::select(&TZ_VARIANTS[..]).prop_map(Zone::Named)
}

/// Returns an instant near a change of the zone's clocks, if there is one in the year after `seconds`.
fn near_a_change(zone: Zone, seconds: i64, distance: i64) -> DateTime<Utc> {
    let at = |hours: i64| DateTime::from_timestamp(seconds + hours * 3600, 0).unwrap();
    let offset = |hours| *zone.local(at(hours)).offset();
    let changes = |from: i64, length: i64| offset(from) != offset(from + length);
    let day = (0..365).map(|n| n * 24).find(|day| changes(*day, 24));
    let day = day.unwrap_or(0);
    let hour = (day..day + 24).find(|hour| changes(*hour, 1));
    at(hour.unwrap_or(day)) + TimeDelta::seconds(distance)
}

proptest! {
    // Takes about 15 s of one core in total without optimization.
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn the_next_fire_matches_and_none_is_before_it(
        cron in any_cron(),
        seconds in 0_i64..4_000_000_000,
    ) {
        let after = DateTime::from_timestamp(seconds, 0).unwrap();
        let next = cron.next_after(after, Zone::UTC).unwrap();
        prop_assert!(next > after);
        prop_assert!(matches(&cron.calendar, next.naive_utc()));
        if let Some(expected) = next_by_rule(&cron, after, Zone::UTC) {
            prop_assert_eq!(next, expected);
        } else {
            prop_assert!(next > after + TimeDelta::hours(24));
        }
    }

    #[test]
    fn the_next_fire_near_a_change_of_the_clocks_follows_the_rules(
        cron in any_cron(),
        zone in any_zone(),
        seconds in 0_i64..4_000_000_000,
        distance in -18_000_i64..36_000,
    ) {
        let after = near_a_change(zone, seconds, distance);
        let next = cron.next_after(after, zone).unwrap();
        if let Some(expected) = next_by_rule(&cron, after, zone) {
            prop_assert_eq!(next, expected);
        } else {
            prop_assert!(next > after + TimeDelta::hours(24));
        }
    }

    // The scheduler must find the same fires no matter when it asks.
    #[test]
    fn the_next_fire_is_the_same_from_any_instant_before_it(
        cron in any_cron(),
        zone in any_zone(),
        seconds in 0_i64..4_000_000_000,
        distance in -18_000_i64..36_000,
        part in 0.0..1.0,
    ) {
        let after = near_a_change(zone, seconds, distance);
        let next = cron.next_after(after, zone).unwrap();
        let between = (next - after).as_seconds_f64() * part;
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
        let later = after + TimeDelta::seconds(between as i64);
        prop_assert_eq!(cron.next_after(later, zone), Some(next));
    }

    #[test]
    fn a_shown_expression_parses_to_an_equal_expression(
        cron in any_cron(),
        second in item(0, 59),
        zone in any_zone(),
    ) {
        let read = Cron::parse(&format!("{second} {cron} {zone}"), "").unwrap();
        prop_assert_eq!(read.zone, Some(zone));
        prop_assert_eq!(Cron::parse(&read.to_string(), "other"), Ok(read));
    }

    #[test]
    fn no_text_panics(text in ".{0,24}|[-*/0-9,~#%+&LlAmon @\t]{0,24}|([-*/0-9,~#%+&L]{1,4} ){5,6}") {
        if let Err(error) = Cron::parse(&text, "") {
            prop_assert!(text.get(error.span).is_some());
        }
    }
}

#[test]
fn a_daily_entry_fires_once_on_each_day_in_every_zone() {
    let daily = cron("30 2 * * *");
    for zone in TZ_VARIANTS.map(Zone::Named) {
        let mut at = utc("2026-01-01T12:00:00Z");
        let mut date = zone.local(at).date_naive();
        if zone.local(at)
            >= zone
                .local(at)
                .with_hour(2)
                .unwrap()
                .with_minute(30)
                .unwrap()
        {
            date = date.succ_opt().unwrap();
        }
        for _ in 0..365 {
            at = daily.next_after(at, zone).unwrap();
            assert_eq!(zone.local(at).date_naive(), date, "{zone}");
            date = date.succ_opt().unwrap();
        }
    }
}

#[test]
fn a_quarter_hourly_entry_fires_every_15_minutes_in_every_zone() {
    let quarters = cron("*/15 * * * *");
    for zone in TZ_VARIANTS.map(Zone::Named) {
        let mut at = utc("2026-01-01T12:00:00Z");
        // Days without a change of the clocks are skipped.
        while at.year() == 2026 {
            let next = quarters.next_after(at, zone).unwrap();
            assert_eq!(next - at, TimeDelta::minutes(15), "{zone}");
            let changes = zone.local(at).offset() != zone.local(at + TimeDelta::hours(36)).offset();
            at = if changes {
                next
            } else {
                at + TimeDelta::hours(24)
            };
        }
    }
}

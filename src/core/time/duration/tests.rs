//! Which texts are durations, and the errors for other texts.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn case(text: &str, seconds: i64) {
    assert_eq!(parse(text), Ok(TimeDelta::seconds(seconds)), "{text}");
}

#[track_caller]
fn refused(text: &str, marked: &str, problem: &str) {
    let error = parse(text).unwrap_err();
    assert_eq!(&text[error.span.clone()], marked);
    assert_eq!(error.to_string(), problem);
}

#[test]
fn numbers_with_units_add_up() {
    case("1h30m", 5_400);
    case("1.5h", 5_400);
    case("2 days and 3 hours", 183_600);
    case("1h,and 2m", 3_720);
    case("1hand2m", 3_720);
    case("1Y 1M 1W 1D 1H 1m 1S", 34_822_861);
    case("P1DT2H", 93_600);
    case("p1mt1m", 2_592_060);
    case("P", 0);
    case("\t1h\n", 3_600);
}

#[test]
fn a_bare_number_is_seconds() {
    case("90", 90);
    case("1h30", 3_630);
    refused("30 1h", "30", "`30` has no unit of time");
}

#[test]
fn a_sign_applies_until_the_next_separator() {
    case("-1h10m", -4_200);
    case("-1h 10m", -3_000);
    case("1h -10m", 3_000);
    case("-1h+10m", -3_000);
    case("P-1DT1H", -82_800);
}

#[test]
fn case_matters_for_months_and_minutes() {
    case("1M", 2_592_000);
    case("1m", 60);
    case("1 HOURS", 3_600);
    refused("5 Minutes", "Minutes", "`Minutes` is not a unit of time");
}

#[test]
fn an_error_marks_the_wrong_part_of_the_text() {
    refused("", "", "a duration is missing");
    refused("  ", "", "a duration is missing");
    refused("1hr", "hr", "`hr` is not a unit of time");
    refused(
        "2 fortnights",
        "fortnights",
        "`fortnights` is not a unit of time",
    );
    refused("1:30", "1", "`1` has no unit of time");
    refused("one hour", "one", "`one` is not a number");
    refused("1h ,", "", "`1h ,` ends too early");
    refused("PT", "", "`PT` ends too early");
    refused("PT1.5H", "1.5H", "`1.5H` is not whole");
    refused("P1H", "H", "`H` is not a unit of time");
    refused(
        "99999999999999999999s",
        "99999999999999999999s",
        "`99999999999999999999s` is too long",
    );
}

#[test]
fn durations_are_shown_in_days_and_smaller_units() {
    let shown = |text| display(parse(text).unwrap());
    assert_eq!(shown("90m"), "1h30m");
    assert_eq!(shown("30"), "30s");
    assert_eq!(shown("2w"), "14d");
    assert_eq!(shown("0"), "0s");
    assert_eq!(shown("-1h10m"), "-1h10m");
    assert_eq!(shown("1m0.25s"), "1m0.25s");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_shown_duration_parses_to_the_same_duration(seconds in any::<i64>(), nanos in 0_u32..1_000_000_000) {
        let longest = i64::MAX / 1_000 - 1;
        let length = TimeDelta::new(seconds % longest, nanos).unwrap();
        prop_assert_eq!(parse(&display(length)), Ok(length));
    }

    #[test]
    fn no_text_panics(text in ".{0,20}|[-+pPtT0-9.ydhmsMSand, é]{0,20}") {
        if let Err(error) = parse(&text) {
            prop_assert!(text.get(error.span).is_some());
        }
    }
}

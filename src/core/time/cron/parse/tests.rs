//! Which expressions are valid, and the errors for invalid ones.

use super::*;

#[track_caller]
fn case(text: &str, marked: &str, problem: &str, help: &str) {
    let error = Cron::parse(text, "").unwrap_err();
    assert_eq!(&text[error.span], marked);
    assert_eq!(error.problem, problem);
    let found = error.help.unwrap_or_default();
    assert!(found.contains(help), "{found}");
}

#[test]
fn a_wrong_value_is_shown_with_what_is_allowed() {
    case("60 * * * *", "60", "`60` is not a minute", "0 to 59");
    case("0 5,25 * * *", "25", "`25` is not an hour", "24 is 0");
    case(
        "0 0 30-32 * *",
        "32",
        "`32` is not a day of the month",
        "1 to 31",
    );
    case("0 0 ? * *", "?", "`?` is not a day of the month", "`*`");
    case(
        "0 0 * January *",
        "January",
        "`January` is not a month",
        "`jan`",
    );
    case(
        "0 0 * * Monday",
        "Monday",
        "`Monday` is not a day of the week",
        "`mon`",
    );
    case("0 0 * * 5L", "5L", "`5L` is not a day of the week", "`5#L`");
    case("*/0 * * * *", "/0", "`/0` is not a step", "1 to 99");
    case("5- * * * *", "", "a minute is missing", "0 to 59");
    case(", * * * *", ",", "a minute is missing", "0 to 59");
    case(
        "0 0 L-3 * *",
        "L-3",
        "`L-3` counts one end of a range from the end of the month and the other from its start",
        "",
    );
    case(
        "0 0 * * 1#6",
        "1#6",
        "`1#6` is not a numbered weekday of the month",
        "1 to 5",
    );
    case(
        "0 0 * * 1%0",
        "1%0",
        "`1%0` is not a weekday of every nth week",
        "`mon%2`",
    );
}

#[test]
fn the_number_of_fields_is_shown() {
    case(
        "* * * *",
        "* * * *",
        "the expression has 4 fields",
        "5 fields",
    );
    case("5m", "5m", "the expression has only 1 field", "5 fields");
    case(
        " 1 2 3 4 5 6 7 ",
        "1 2 3 4 5 6 7",
        "the expression has 7 fields",
        "",
    );
    case("  ", "", "the expression is empty", "5 fields");
    case(
        "0 0\n* * *",
        "0 0\n* * *",
        "the expression has more than one line",
        "",
    );
}

#[test]
fn an_unknown_zone_is_shown_with_a_similar_known_one() {
    let paris = "unknown time zone `Europe/Pariss`";
    case(
        "@hourly Europe/Pariss",
        "Europe/Pariss",
        paris,
        "`Europe/Paris`",
    );
    let york = "unknown time zone `America/New York`";
    case(
        "0 0 * * * America/New York",
        "America/New York",
        york,
        "`America/New_York`",
    );
    case("0 0 0 * * * utc", "utc", "unknown time zone `utc`", "`UTC`");
    case(
        "0 0 * * * +14:00",
        "+14:00",
        "unknown time zone `+14:00`",
        "12 hours",
    );
    case("0 0 * * *\tUTC", "UTC", "`UTC` comes after a tab", "space");
}

#[test]
fn an_unknown_special_is_shown_with_the_known_ones() {
    case(
        "@dayly",
        "@dayly",
        "`@dayly` is not a known schedule",
        "`@daily`",
    );
    case(
        "@Daily 5",
        "@Daily",
        "`@Daily` is not a known schedule",
        "`@daily`",
    );
    case(
        "@reboot",
        "@reboot",
        "`@reboot` is not a known schedule",
        "@hourly",
    );
}

#[test]
fn an_expression_that_never_fires_is_refused() {
    case("0 0 30 2 *", "30 2 *", "this never fires", "2100");
    case("0 0 30 2 mon", "30 2 mon", "this never fires", "2100");
    case("0 0 -30 2 * UTC", "-30 2 *", "this never fires", "2100");
    case(
        "0 0 8-14& * mon#1",
        "8-14& * mon#1",
        "this never fires",
        "2100",
    );
    case(
        "0 0 * * mon%9999",
        "* * mon%9999",
        "this never fires",
        "2100",
    );
}

/// Checked with fugit 1.14 and et-orbi 1.4.1: its `next_time` fails after 2,048 steps.
#[test]
fn an_expression_that_fires_too_rarely_for_fugit_is_refused() {
    let rare = "this fires too rarely";
    case("27 9 last& * 1#4", "last& * 1#4", rare, "2,000 days");
    case("27 9 last& * 1#4 UTC", "last& * 1#4", rare, "months");
    case("0 0 * * mon%281", "* * mon%281", rare, "");
    case("0 0 1& * mon%40", "1& * mon%40", rare, "");
    for taken in [
        "27 9 last& feb 1#4",
        "0 0 * * mon%280",
        "0 0 29& 2 mon",
        "0 0 * 2 mon#5",
        "0 0 29 2 *",
    ] {
        assert!(Cron::parse(taken, "").is_ok(), "{taken}");
    }
}

/// fugit 1.14 accepts and refuses the same expressions.
#[test]
fn empty_items_of_a_list_are_skipped() {
    let same = |text, as_if| {
        assert_eq!(Cron::parse(text, "n"), Cron::parse(as_if, "n"), "{text}");
        assert!(Cron::parse(text, "n").is_ok(), "{text}");
    };
    for text in [
        ",1 * * * *",
        ",,1 * * * *",
        ", ,1 * * * *",
        "1, * * * *",
        "1 , * * * *",
        "1 ,\t, * * * *",
    ] {
        same(text, "1 * * * *");
    }
    same("1,,2 * * * *", "1,2 * * * *");
    same("1, ,2 * * * *", "1,2 * * * *");
    same("1, 2 * * * *", "1 2 * * * *");
    same("1 1 1& ,1 mon", "1 1 1& 1 mon");
    same("1 1 1 ,& ,1 mon", "1 1 1& 1 mon");
    same("* * * * 1 ,&", "* * * * 1&");
    same("* * * * 1 , UTC", "* * * * 1 UTC");
    let space = "`1` has a space before its comma";
    case("1 ,2 * * * *", "1", space, "`1,2`");
    case("1 , ,2 * * * *", "1", space, "`1,2`");
    for refused in [", 1 * * * *", "0 0 ,1 * *", "0 12 ,L * *", ", * * * *"] {
        assert!(Cron::parse(refused, "").is_err(), "{refused}");
    }
}

#[test]
fn a_random_day_or_month_is_one_that_exists() {
    let texts = [
        "0 0 ~ 2 *",
        "0 0 25~ apr,feb *",
        "0 0 -31~-1 2 *",
        "0 0 31 ~ *",
        "0 0 ~ ~ *",
        "0 0 ~& * mon#1",
    ];
    for name in 0..100 {
        for text in texts {
            let parsed = Cron::parse(text, &name.to_string());
            assert!(parsed.is_ok(), "{text} of {name}: {parsed:?}");
        }
    }
    case("0 0 30~31 2 *", "30~31 2 *", "this never fires", "2100");
    case("0 0 ~ 13 *", "13", "`13` is not a month", "1 to 12");
}

#[test]
fn a_weekday_does_not_fire_in_months_without_any_of_the_listed_days() {
    let parsed = Cron::parse("0 0 31 1,2 mon", "").unwrap();
    assert_eq!(parsed, Cron::parse("0 0 31 1 mon", "").unwrap());
}

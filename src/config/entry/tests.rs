//! What the keys of a schedule file mean.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};

use super::*;
use crate::{
    config::{entry::contents::FileContents, parse::contents, report::source::Source},
    core::time::{
        every::{Every, EveryError},
        timing::{Moment, Recurrence, Timing},
    },
};

fn read(text: &str, environment: Option<&str>) -> FileContents {
    let source = Source::new("a.toml", text);
    let context = Context {
        environment: environment.map(str::to_owned),
        zone: Zone::UTC,
    };
    contents(&source, false, &context)
}

/// Returns the text of a file with an entry `a` that has a queue and these lines.
fn with(lines: &str) -> String {
    format!("[schedule.a]\nqueue = 'q'\n{lines}\n")
}

/// Returns the entry `a` with these lines.
#[track_caller]
fn entry(lines: &str) -> Entry {
    let mut contents = read(&with(lines), None);
    assert_eq!(contents.mistakes, []);
    Arc::unwrap_or_clone(contents.entries.pop().unwrap())
}

/// Asserts that a file has exactly these errors, each with the text that it marks.
#[track_caller]
fn refused(text: &str, expected: &[(Mistake, &str)]) {
    let mistakes = read(text, None).mistakes.into_iter().map(|found| {
        let span = found.places[0].span.clone().unwrap();
        (found.mistake, &text[span])
    });
    assert_eq!(mistakes.collect::<Vec<_>>(), expected, "{text}");
}

#[test]
fn an_entry_with_only_a_queue_has_its_name_as_class_and_defaults_for_the_rest() {
    let expected = Entry {
        name: "a".into(),
        timing: Timing::of(Recurrence::Manual),
        zone: Zone::UTC,
        job: Job::new("a", "q", "[]", false),
        catch_up: CatchUp::default(),
        guard: Guard::default(),
        description: None,
        origin: Origin::Dynamic,
    };
    assert_eq!(entry(""), expected);
}

#[test]
fn the_origin_of_an_entry_is_the_line_of_its_name() {
    let lines = |path, text| {
        let source = Source::new(path, text);
        let contents = contents(&source, true, &Context::default());
        assert_eq!(contents.mistakes, []);
        let lines = contents.entries.iter().map(|it| it.origin.to_string());
        lines.collect::<Vec<_>>()
    };
    let toml = "# A comment\n[schedule]\na = { queue = 'q' }\n\n[schedule.b]\nqueue = 'q'\n";
    assert_eq!(lines("dir/a.toml", toml), ["dir/a.toml:3", "dir/a.toml:5"]);
    let yaml = "---\n# A comment\na:\n  every: 1h\n  queue: q\n\n\"b\": {every: 1h, queue: q}\n";
    assert_eq!(lines("a.yml", yaml), ["a.yml:3", "a.yml:7"]);
}

#[test]
fn every_key_of_an_entry_is_read() {
    let every = Every::new(TimeDelta::seconds(90)).unwrap();
    let mut timing = Timing::of(Recurrence::Every(every));
    timing.bound(|it| it.first = Some(Moment::In(TimeDelta::zero())));
    let expected = Entry {
        name: "a".into(),
        timing,
        zone: Zone::UTC,
        job: Job::new("A::B", "q", "[1]", true),
        catch_up: CatchUp {
            policy: CatchUpPolicy::All,
            window: TimeDelta::hours(1),
        },
        guard: Guard::default(),
        description: Some(String::new()),
        origin: Origin::Dynamic,
    };
    let lines = "every = '90s'\nfirst_in = 0\nclass = 'A::B'\nargs = 1\n\
        include_metadata = true\ncatch_up = 'all'\ncatch_up_window = 3600\n\
        description = ''\nenabled = true";
    assert_eq!(entry(lines), expected);
}

#[test]
fn an_entry_overrides_the_defaults_of_its_file() {
    let text = "[defaults]\nqueue = 'd'\ninclude_metadata = true\ncatch_up = 'none'\n\
        catch_up_window = '2m'\n[schedule]\na = {}\n\
        b = { queue = 'q', include_metadata = false, catch_up = 'latest' }";
    let contents = read(text, None);
    assert_eq!(contents.mistakes, []);
    let [a, b] = &contents.entries[..] else {
        panic!("{:?}", contents.entries);
    };
    let window = TimeDelta::minutes(2);
    let catch_up = |policy| CatchUp { policy, window };
    assert_eq!(a.job, Job::new("a", "d", "[]", true));
    assert_eq!(a.catch_up, catch_up(CatchUpPolicy::None));
    assert_eq!(b.job, Job::new("b", "q", "[]", false));
    assert_eq!(b.catch_up, catch_up(CatchUpPolicy::Latest));
}

#[test]
fn the_zone_of_a_cron_expression_is_its_own_or_that_of_the_entry_or_the_defaults() {
    #[track_caller]
    fn case(defaults: &str, lines: &str, zone: &str) {
        let contents = read(&format!("{defaults}\n{}", with(lines)), None);
        let Recurrence::Cron { zone: found, .. } = contents.entries[0].timing.recurrence else {
            panic!("{:?}", contents.entries);
        };
        assert_eq!(found, zone.parse().unwrap());
    }
    let tokyo = "defaults.timezone = 'Asia/Tokyo'";
    let daily = "cron = '0 0 * * *'";
    let in_paris = "timezone = 'Europe/Paris'\ncron = '0 0 * * *'";
    let in_lima = "timezone = 'Europe/Paris'\ncron = '0 0 * * * America/Lima'";
    case("", daily, "UTC");
    case(tokyo, daily, "Asia/Tokyo");
    case(tokyo, in_paris, "Europe/Paris");
    case(tokyo, in_lima, "America/Lima");
}

#[test]
fn an_entry_is_loaded_if_it_is_enabled_and_for_this_environment() {
    let loaded = |line: &str, environment| {
        let contents = read(&with(line), environment);
        assert_eq!(contents.mistakes, []);
        assert_eq!(contents.names.len(), 1);
        contents.entries.len() == 1
    };
    assert!(loaded("", None));
    assert!(loaded("", Some("production")));
    for line in [
        "env = 'production'",
        "rails_env = ' staging , production '",
        "env = 'staging production'",
        "env = ['staging', 'production']",
    ] {
        assert!(loaded(line, Some("production")), "{line}");
        for elsewhere in [None, Some("test"), Some("")] {
            assert!(!loaded(line, elsewhere), "{line}");
        }
    }
    assert!(!loaded("enabled = false", None));
}

#[test]
fn an_entry_that_is_not_loaded_is_checked_too() {
    for why in ["enabled = false", "env = 'elsewhere'"] {
        let mistake = Mistake::UnknownPolicy("x".into());
        refused(
            &with(&format!("{why}\ncatch_up = 'x'")),
            &[(mistake, "'x'")],
        );
    }
}

#[test]
fn a_value_of_the_wrong_type_causes_exactly_one_error() {
    let wrong = |expected, found| Mistake::WrongType(expected, found);
    let text = |found| wrong("a string", found);
    let table = |found| wrong("a table", found);
    refused("[schedule.a]\nqueue = 1", &[(text("an integer"), "1")]);
    refused(
        "defaults.queue = 1.5\nschedule.a = {}",
        &[(text("a float"), "1.5")],
    );
    refused(&with("cron = true"), &[(text("a boolean"), "true")]);
    refused(&with("class = []"), &[(text("an array"), "[]")]);
    refused(
        &with("cron = '* * * * *'\ntimezone = {}"),
        &[(text("a table"), "{}")],
    );
    let both = [(text("an integer"), "1"), (text("a date-time"), "09:00")];
    refused(&with("env = [1, 'b', 09:00]"), &both);
    refused(
        &with("enabled = 'yes'"),
        &[(wrong("a boolean", "a string"), "'yes'")],
    );
    let duration = wrong("a duration (text or whole seconds)", "a float");
    refused(&with("every = 1.5\nfirst_in = 1"), &[(duration, "1.5")]);
    refused("schedule = 1", &[(table("an integer"), "1")]);
    refused("schedule.a = 'x'", &[(table("a string"), "'x'")]);
    refused("[[schedule.a]]", &[(table("an array"), "[[schedule.a]]")]);
}

#[test]
fn keys_that_exclude_each_other_or_lack_another_key_are_refused() {
    let both = |first, second| [(Mistake::Both(first, second), second)];
    refused(
        &with("every = 1\ncron = '* * * * *'"),
        &both("cron", "every"),
    );
    refused(
        &with("rails_env = 'a'\nenv = 'b'"),
        &both("env", "rails_env"),
    );
    let alone = |key, other| [(Mistake::Alone(key, other), key)];
    refused(
        &with("first_in = 1"),
        &alone("first_in", "`cron` or `every`"),
    );
    refused(
        &with("every = 1\ntimezone = 'UTC'"),
        &alone("timezone", "`cron` or a time"),
    );
}

#[test]
fn an_empty_text_and_a_missing_queue_are_refused() {
    let empty = |what| [(Mistake::Empty(what), "''")];
    refused(&with("class = ''"), &empty("the class"));
    refused("schedule.a.queue = ''", &empty("the queue"));
    refused(
        "schedule.'' = { queue = 'q' }",
        &empty("the name of an entry"),
    );
    refused("[schedule.a]", &[(Mistake::NoQueue("a".into()), "a")]);
    refused(&with("env = ' , '"), &[(Mistake::NoEnvironment, "' , '")]);
    refused(&with("env = []"), &[(Mistake::NoEnvironment, "[]")]);
}

#[test]
fn a_duration_is_from_0_seconds_to_100_years() {
    let every = || Mistake::Every(EveryError);
    refused(&with("every = 0"), &[(every(), "0")]);
    refused(&with("every = '1.5s'"), &[(every(), "'1.5s'")]);
    for length in [
        "-1",
        "4000000000",
        "9223372036854775807",
        "9223372036854775808",
    ] {
        let lines = with(&format!("catch_up_window = {length}"));
        refused(&lines, &[(Mistake::DurationRange, length)]);
    }
    let longest = entry("every = 3155760000\ncatch_up_window = 3155760000");
    let now = DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    assert!(
        longest
            .timing
            .recurrence
            .next_after(now, now - longest.catch_up.window)
            .is_some()
    );
}

#[test]
fn an_error_in_a_cron_expression_marks_the_wrong_field() {
    #[track_caller]
    fn case(literal: &str, blamed: &str) {
        let text = with(&format!("cron = {literal}"));
        let mistakes = read(&text, None).mistakes;
        let [mistake] = &mistakes[..] else {
            panic!("{mistakes:?}");
        };
        let span = mistake.places[0].span.clone().unwrap();
        assert_eq!(&text[span], blamed, "{mistake}");
    }
    case(r#""*/5 * zzz * *""#, "zzz");
    case("'*/5 * zzz * *'", "zzz");
    case(r#""""*/5 * zzz * *""""#, "zzz");
    case("'''\n*/5 * zzz * *'''", "zzz");
    // If the text is written with escapes, all of it is marked.
    case(r#""\u002a * zzz * *""#, r#""\u002a * zzz * *""#);
}

#[test]
fn an_entry_is_shown_in_the_zone_of_its_expression_or_the_entry_or_the_defaults() {
    let text = "[defaults]\nqueue = 'q'\ntimezone = 'Europe/Paris'\n\
        [schedule.a]\ncron = '0 0 * * * Asia/Tokyo'\n\
        [schedule.b]\ncron = '0 0 * * *'\ntimezone = 'Asia/Kolkata'\n\
        [schedule.c]\nevery = '1h'\n\
        [schedule.d]\nat = '2099-01-01'\n";
    let contents = read(text, None);
    assert_eq!(contents.mistakes, []);
    let zones = contents.entries.iter().map(|it| it.zone.to_string());
    let zones: Vec<_> = zones.collect();
    assert_eq!(
        zones,
        ["Asia/Tokyo", "Asia/Kolkata", "Europe/Paris", "Europe/Paris"]
    );
    assert_eq!(entry("every = '1h'").zone, Zone::UTC);
}

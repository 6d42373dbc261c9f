//! Whole schedule files, and their errors and warnings.

use std::{fmt::Write as _, fs, path::Path};

use proptest::prelude::*;

use super::*;
use crate::core::time::zone::Zone;

const CONTEXT: Context = Context {
    environment: None,
    zone: Zone::UTC,
};
/// Relative to the root of the crate, in which tests run.
const SCHEDULES: &str = "schedules";

fn refused(files: &[(&str, &str)]) -> String {
    let source = |&(path, text): &(&str, &str)| Source::new(path, text);
    let sources: Vec<_> = files.iter().map(source).collect();
    parse(&sources, &CONTEXT).unwrap_err().to_string()
}

#[test]
fn every_error_is_shown_at_its_position() {
    let text = r#"
[defaults]
queue = "default"
catch_up = "lates"

[schedule.heartbeat]
every = "30s"
cron = "* * * * *"
class = 7
quue = "ops"

[schedule.invoices]
every = 0
queue = "billing"
args = [1, { rate = nan }]
"#;
    insta::assert_snapshot!(refused(&[("prod.toml", text)]), @r#"
    error: unknown catch-up policy `lates`
     --> prod.toml:4:12
      |
    4 | catch_up = "lates"
      |            ^^^^^^^
      |
    help: did you mean `latest`?

    error: both `cron` and `every` are given
     --> prod.toml:7:1
      |
    7 | every = "30s"
      | ^^^^^
      |
    help: keep one of the two

    error: expected a string, found an integer
     --> prod.toml:9:9
      |
    9 | class = 7
      |         ^

    error: unknown key `quue`
      --> prod.toml:10:1
       |
    10 | quue = "ops"
       | ^^^^
       |
    help: did you mean `queue`?

    error: an interval must be a whole number of seconds, at least one
      --> prod.toml:13:9
       |
    13 | every = 0
       |         ^

    error: `nan` cannot be an argument
      --> prod.toml:15:21
       |
    15 | args = [1, { rate = nan }]
       |                     ^^^
       |
    help: quote it to make it text; `args_json` takes integers of any size

    6 errors in 1 file; the schedule is not used
    "#);
}

#[test]
fn an_unknown_key_without_a_similar_one_is_shown_with_all_known_keys() {
    let text = "[schedule.a]\nqueue = 'q'\nfrequency = '1h'\n[jobs]\n";
    insta::assert_snapshot!(refused(&[("a.toml", text)]), @"
    error: unknown key `frequency`
     --> a.toml:3:1
      |
    3 | frequency = '1h'
      | ^^^^^^^^^
      |
    help: allowed here: `cron`, `every`, `timezone`, `at`, `in`, `first_in`, `first_at`, `first`, `last_in`, `last_at`, `last`, `times`, `starts_at`, `ends_at`, `jitter`, `class`, `queue`, `active_job`, `locale`, `priority`, `active_job_timezone`, `kwargs`, `args`, `args_json`, `include_metadata`, `catch_up`, `catch_up_window`, `overlap`, `max_queue_length`, `description`, `env`, `rails_env`, `enabled`

    error: unknown key `jobs`
     --> a.toml:4:2
      |
    4 | [jobs]
      |  ^^^^
      |
    help: allowed here: `defaults`, `schedule`

    2 errors in 1 file; the schedule is not used
    ");
}

#[test]
fn a_name_in_two_files_is_one_error_that_shows_both_positions() {
    let other = "# Later\n[schedule.sweep]\nqueue = 'low'\n[schedule.b]\nqueue = 'b'\n";
    let files = [
        ("a.toml", "[schedule.sweep]\nqueue = 'high'\n"),
        ("b.toml", other),
    ];
    insta::assert_snapshot!(refused(&files), @"
    error: entry `sweep` is in more than one file
     --> a.toml:1:11
      |
    1 | [schedule.sweep]
      |           ^^^^^
      |
     ::: b.toml:2:11
      |
    2 | [schedule.sweep]
      |           ^^^^^
      |
    help: rename or remove one of them

    1 error in 2 files; the schedule is not used
    ");
}

#[test]
fn a_syntax_error_in_a_file_does_not_hide_errors_in_other_files() {
    let broken = "[schedule.a]\nevery = 30s\nqueu = 'q'\nclass = 'A\n[schedule.a]\n";
    let files = [
        ("a.toml", broken),
        ("b.toml", "[schedule.b]\nevery = '30s'\n"),
    ];
    insta::assert_snapshot!(refused(&files), @r#"
    error: string values must be quoted, expected literal string
     --> a.toml:2:9
      |
    2 | every = 30s
      |         ^^^

    error: invalid literal string, expected `'`
     --> a.toml:4:11
      |
    4 | class = 'A
      |           ^

    error: duplicate key
     --> a.toml:5:11
      |
    5 | [schedule.a]
      |           ^
      |
    help: each key and each table can be given only once

    error: no queue for entry `b`
     --> b.toml:1:11
      |
    1 | [schedule.b]
      |           ^
      |
    help: give the entry a `queue`, or in TOML set one in `[defaults]`; the scheduler does not know the queue of its class

    4 errors in 2 files; the schedule is not used
    "#);
}

#[test]
fn a_file_that_cannot_be_read_is_reported_with_all_other_errors() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("empty")).unwrap();
    fs::write(path("latin1.toml"), b"[schedule.a]\nqueue = 'caf\xe9'\n").unwrap();
    fs::write(path("typo.toml"), "[schedul.a]\n").unwrap();
    let paths = ["absent.toml", "empty", "latin1.toml", "typo.toml"].map(path);
    let report = load(&paths, &CONTEXT, MAX_SIZE).unwrap_err().to_string();
    let report = report.replace(&format!("{}/", directory.path().display()), "");
    insta::assert_snapshot!(report, @"
    error: no such file or directory
    --> absent.toml
     |
    help: check the path; if it is a directory, every `*.toml`, `*.yml` and `*.yaml` file in it is read

    error: no `*.toml`, `*.yml` or `*.yaml` in this directory
    --> empty
     |
    help: put a schedule file into it, or name the file itself

    error: not UTF-8 text
     --> latin1.toml:2:13
      |
    2 | queue = 'caf�'
      |             ^
      |
    help: save the file in UTF-8

    error: unknown key `schedul`
     --> typo.toml:1:2
      |
    1 | [schedul.a]
      |  ^^^^^^^
      |
    help: did you mean `schedule`?

    4 errors in 4 files; the schedule is not used
    ");
}

#[test]
fn a_directory_is_read_as_the_schedule_files_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("a.toml"), "[schedule.a]\nqueue = 'q'\n").unwrap();
    for ignored in ["b.toml~", ".#c.toml", ".toml", "README"] {
        fs::write(path(ignored), "not a schedule").unwrap();
    }
    fs::create_dir(path("below")).unwrap();
    fs::write(path("below/d.toml"), "not a schedule").unwrap();
    // A file that is named twice is read only once.
    let paths = [path(""), path("a.toml")];
    let schedule = load(&paths, &CONTEXT, MAX_SIZE).unwrap().schedule;
    assert_eq!(schedule.entries().len(), 1);
    assert!(schedule.get("a").is_some());
}

#[test]
fn the_schedules_that_we_ship_load() {
    let count = |file: &str, environment: Option<&str>| {
        let context = Context {
            environment: environment.map(str::to_owned),
            zone: Zone::UTC,
        };
        let schedule = load(&[Path::new(SCHEDULES).join(file)], &context, MAX_SIZE);
        schedule
            .unwrap_or_else(|report| panic!("{report}"))
            .schedule
            .entries()
            .len()
    };
    assert_eq!(count("demo.toml", None), 3);
    assert_eq!(count("prod.toml", None), 7);
    assert_eq!(count("prod.toml", Some("production")), 8);
    assert_eq!(count("", None), 10);
}

#[test]
fn without_files_the_schedule_is_empty() {
    assert_eq!(load(&[], &CONTEXT, MAX_SIZE), Ok(Loaded::default()));
}

#[test]
fn a_file_without_entries_is_an_error_even_if_another_file_has_entries() {
    let files = [
        ("a.toml", "[defaults]\nqueue = 'q'\n"),
        ("b.toml", "[schedule.a]\nqueue = 'q'\n"),
        ("c.yml", "--- {}\n"),
    ];
    insta::assert_snapshot!(refused(&files), @"
    error: the file has no entries
    --> a.toml
     |
    help: a failed template leaves an empty file; to move delayed jobs only, start the scheduler without a schedule

    error: the file has no entries
    --> c.yml
     |
    help: a failed template leaves an empty file; to move delayed jobs only, start the scheduler without a schedule

    2 errors in 2 files; the schedule is not used
    ");
    for (path, text) in [
        ("a.toml", ""),
        ("a.toml", "# nothing yet\n"),
        ("a.toml", "[schedule]\n"),
        ("a.yml", ""),
        ("a.yml", "# nothing yet\n"),
        ("a.yml", "---\n"),
        ("a.yml", "~\n"),
    ] {
        let report = refused(&[(path, text)]);
        assert!(report.contains("the file has no entries"), "{report}");
    }
}

#[test]
fn a_file_whose_only_entry_is_left_out_has_entries() {
    for (path, text) in [
        ("a.toml", "schedule.a = { queue = 'q', enabled = false }"),
        ("a.toml", "schedule.a = { queue = 'q', env = 'elsewhere' }"),
        ("a.yml", "defaults: &defaults {class: J}"),
    ] {
        let loaded = parse(&[Source::new(path, text)], &CONTEXT).unwrap();
        assert_eq!(loaded.schedule.left_out().len(), 1, "{text}");
    }
}

/// Parses the text and renders its errors. Neither may panic.
fn survives(text: &str) {
    let source = Source::new("any.toml", text);
    if let Err(report) = parse(&[source], &CONTEXT) {
        assert!(!report.to_string().is_empty());
    }
}

#[test]
fn unusual_texts_do_not_panic() {
    survives("\u{feff}[schedule.a]\r\nqueue = 'é\r\n");
    survives(&format!("a = {}", "[".repeat(10_000)));
    survives(&format!("[schedule.a]\nargs{} = 1", ".a".repeat(10_000)));
    survives(&format!("[schedule.a{}]", ".a".repeat(10_000)));
}

proptest! {
    #[test]
    fn any_text_is_a_schedule_or_has_errors(text: String) {
        survives(&text);
    }

    #[test]
    fn a_garbled_schedule_is_a_schedule_or_has_errors(
        at: prop::sample::Index,
        length in 0_usize..12,
        insert in "(\\PC|[\"'\\[\\]{}=.,#\\\\\r\n]){0,6}",
    ) {
        let prod = fs::read_to_string(Path::new(SCHEDULES).join("prod.toml")).unwrap();
        let text: Vec<_> = prod.chars().collect();
        let at = at.index(text.len());
        let end = (at + length).min(text.len());
        let before = text[..at].iter().copied();
        let after = text[end..].iter().copied();
        survives(&before.chain(insert.chars()).chain(after).collect::<String>());
    }
}

#[test]
fn the_first_fifty_errors_are_shown_and_the_others_counted() {
    let mut text = String::new();
    for number in 0..10_000 {
        writeln!(text, "[schedule.a{number}]\nqueue = 'q'\nevery = 'soon'").unwrap();
    }
    let report = refused(&[("a.toml", &text)]);
    assert_eq!(report.matches("error: ").count(), 50);
    assert!(report.contains("--> a.toml:150:"), "{report}");
    let end = "\n\n… and 9950 more\n\n10000 errors in 1 file; the schedule is not used";
    assert!(report.ends_with(end), "{report}");
}

#[test]
fn errors_have_priority_over_warnings_if_there_are_too_many() {
    let mut text = String::new();
    for number in 0..60 {
        writeln!(text, "a{number}: {{class: J, queue: q, every: 1h, crn: x}}").unwrap();
    }
    text.push_str("b: {class: J, queue: q, every: soon}\n");
    let report = refused(&[("a.yml", &text)]);
    assert_eq!(report.matches("warning: ").count(), 49);
    assert_eq!(report.matches("error: ").count(), 1);
    assert!(report.contains("… and 11 more\n"), "{report}");
}

#[test]
fn a_long_line_is_cut_around_its_error() {
    let args = format!("[{}]", "'ö', ".repeat(100_000));
    let text = format!("schedule = {{ a = {{ args = {args}, evry = '1h', b = {args} }} }}\n");
    let report = refused(&[("a.toml", &text)]);
    assert!(report.len() < 2_000, "{} bytes", report.len());
    assert!(report.contains("--> a.toml:1:500031"), "{report}");
    assert!(report.contains("evry = '1h'"), "{report}");
    assert!(report.contains("^^^^"), "{report}");
}

#[test]
fn a_long_name_is_cut() {
    let report = refused(&[("a.toml", &format!("{} = 1\n", "x".repeat(100_000)))]);
    assert!(report.len() < 4_000, "{} bytes", report.len());
}

#[test]
fn an_entry_that_is_in_every_file_is_shown_at_ten_places() {
    let files: Vec<_> = (0..1_000).map(|it| format!("{it:03}.toml")).collect();
    let files: Vec<_> = files
        .iter()
        .map(|it| (&**it, "[schedule.a]\nqueue = 'q'\n"))
        .collect();
    let report = refused(&files);
    assert_eq!(report.matches(".toml:1:").count(), 10, "{report}");
    assert!(report.contains("… and in 990 more places"), "{report}");
}

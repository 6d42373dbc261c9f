//! The commands `next` and `check`, which show upcoming fires and errors without Redis.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{Finished, Program, vectors};

const SCHEDULE: &str = r#"
[defaults]
timezone = "Europe/Stockholm"
queue = "default"

[schedule.nightly_invoices]
cron = "30 2 * * *"
class = "Invoices::Nightly"

[schedule.clear_leaderboards]
cron = "30 6 * * 1 America/New_York"
queue = "low"

[schedule.sync]
every = "12h"

[schedule.rebuild]
description = "by hand only"
"#;

/// One day after clocks went back in New York, and one week after they did in Stockholm.
const FROM: [&str; 2] = ["--from", "2026-11-02T00:00:00Z"];

fn next<const N: usize>(args: [&str; N]) -> Finished {
    Program::new().args(["next"]).args(args).run()
}

/// Runs `next` for [`SCHEDULE`] with these options.
fn of_schedule<const N: usize>(args: [&str; N]) -> Finished {
    let program = Program::new().args(["next"]).args(FROM).args(args);
    program.schedule(SCHEDULE).run()
}

#[test]
fn the_fires_of_all_entries_are_shown_in_order_of_time() {
    let shown = of_schedule(["--count", "6"]).succeeded();
    insta::assert_snapshot!(shown.output, @"
    LOCAL TIME                      ZONE              UTC                   WHEN          ENTRY               QUEUE
    Mon 2026-11-02 02:30:00 +01:00  Europe/Stockholm  2026-11-02 01:30:00Z  in 1 h 30 m   nightly_invoices    default
    Mon 2026-11-02 06:30:00 -05:00  America/New_York  2026-11-02 11:30:00Z  in 11 h 30 m  clear_leaderboards  low
    Mon 2026-11-02 13:00:00 +01:00  Europe/Stockholm  2026-11-02 12:00:00Z  in 12 h       sync                default
    Tue 2026-11-03 01:00:00 +01:00  Europe/Stockholm  2026-11-03 00:00:00Z  in 1 d        sync                default
    Tue 2026-11-03 02:30:00 +01:00  Europe/Stockholm  2026-11-03 01:30:00Z  in 1 d 1 h    nightly_invoices    default
    Tue 2026-11-03 13:00:00 +01:00  Europe/Stockholm  2026-11-03 12:00:00Z  in 1 d 12 h   sync                default
    ");
    assert_eq!(shown.log, "");
}

#[test]
fn json_lines_have_the_job_and_the_zone_of_each_fire() {
    let shown = of_schedule(["--count", "3", "--json", "--timezone", "Asia/Tokyo"]);
    insta::assert_snapshot!(shown.succeeded().output, @r#"
    {"entry":"nightly_invoices","class":"Invoices::Nightly","queue":"default","at":"2026-11-02T01:30:00Z","local":"2026-11-02T02:30:00+01:00","timezone":"Europe/Stockholm"}
    {"entry":"clear_leaderboards","class":"clear_leaderboards","queue":"low","at":"2026-11-02T11:30:00Z","local":"2026-11-02T06:30:00-05:00","timezone":"America/New_York"}
    {"entry":"sync","class":"sync","queue":"default","at":"2026-11-02T12:00:00Z","local":"2026-11-02T13:00:00+01:00","timezone":"Europe/Stockholm"}
    "#);
}

#[test]
fn fires_are_listed_up_to_until_or_the_tenth() {
    let until = of_schedule(["--until", "2026-11-02T12:00:00Z"]).succeeded();
    insta::assert_snapshot!(until.output, @"
    LOCAL TIME                      ZONE              UTC                   WHEN          ENTRY               QUEUE
    Mon 2026-11-02 02:30:00 +01:00  Europe/Stockholm  2026-11-02 01:30:00Z  in 1 h 30 m   nightly_invoices    default
    Mon 2026-11-02 06:30:00 -05:00  America/New_York  2026-11-02 11:30:00Z  in 11 h 30 m  clear_leaderboards  low
    Mon 2026-11-02 13:00:00 +01:00  Europe/Stockholm  2026-11-02 12:00:00Z  in 12 h       sync                default
    ");
    let ten = of_schedule([]).succeeded();
    assert_eq!(ten.output.lines().count(), 1 + 10);
    let none = of_schedule(["--entry", "rebuild"]).succeeded();
    assert_eq!(
        (none.output.as_str(), none.log.as_str()),
        ("", "no fires to come\n")
    );
}

#[test]
fn next_can_show_only_one_entry() {
    let one = of_schedule(["--entry", "clear_leaderboards", "-n", "2"]).succeeded();
    insta::assert_snapshot!(one.output, @"
    LOCAL TIME                      ZONE              UTC                   WHEN          ENTRY               QUEUE
    Mon 2026-11-02 06:30:00 -05:00  America/New_York  2026-11-02 11:30:00Z  in 11 h 30 m  clear_leaderboards  low
    Mon 2026-11-09 06:30:00 -05:00  America/New_York  2026-11-09 11:30:00Z  in 7 d 11 h   clear_leaderboards  low
    ");
    let slip = of_schedule(["--entry", "clear_leaderbords"]);
    assert_eq!(slip.status.code(), Some(1));
    insta::assert_snapshot!(slip.log, @"error: no entry `clear_leaderbords` in this schedule; did you mean `clear_leaderboards`?");
    let unknown = of_schedule(["--entry", "x"]);
    insta::assert_snapshot!(unknown.log, @"error: no entry `x` in this schedule");
}

#[test]
fn next_says_why_an_entry_is_left_out() {
    let text = "\
        [defaults]\nqueue = 'q'\n\
        [schedule.off]\nevery = '1h'\nenabled = false\n\
        [schedule.live]\nevery = '1h'\nenv = 'production'\n";
    let ask = |name| {
        Program::new()
            .args(["next", "--entry", name])
            .schedule(text)
    };
    let off = ask("off").run();
    assert_eq!((off.status.code(), off.output.as_str()), (Some(1), ""));
    insta::assert_snapshot!(off.log, @"error: entry `off` is not enabled; remove its `enabled = false`");
    let elsewhere = ask("live").env("RAILS_ENV", "test").run();
    assert_eq!(elsewhere.status.code(), Some(1));
    insta::assert_snapshot!(elsewhere.log, @"error: entry `live` is for another environment; choose the environment with --environment or RAILS_ENV");
    ask("live").env("RAILS_ENV", "production").run().succeeded();
    let mut anchor = Program::new().args(["next", "--entry", "base", "a.yml"]);
    anchor.write("a.yml", "base: &base {class: J}\n");
    insta::assert_snapshot!(anchor.run().log, @"error: entry `base` is left out: it never fires and names no queue");
}

#[test]
fn next_can_show_the_fires_of_an_expression() {
    let from = "2026-10-24T12:00:00Z";
    let zone = "Europe/Berlin";
    let args = ["--from", from, "--timezone", zone, "-n", "2"];
    let cron = Program::new().args(["next", "--cron", "30 2 * * *"]);
    insta::assert_snapshot!(cron.args(args).run().succeeded().output, @"
    LOCAL TIME                      ZONE           UTC                   WHEN
    Sun 2026-10-25 02:30:00 +02:00  Europe/Berlin  2026-10-25 00:30:00Z  in 12 h 30 m
    Mon 2026-10-26 02:30:00 +01:00  Europe/Berlin  2026-10-26 01:30:00Z  in 1 d 13 h
    ");
    let every = Program::new().args(["next", "--every", "1h30m", "--json"]);
    insta::assert_snapshot!(every.args(args).run().succeeded().output, @r#"
    {"at":"2026-10-24T13:30:00Z","local":"2026-10-24T15:30:00+02:00","timezone":"Europe/Berlin"}
    {"at":"2026-10-24T15:00:00Z","local":"2026-10-24T17:00:00+02:00","timezone":"Europe/Berlin"}
    "#);
}

#[test]
fn an_error_in_an_expression_is_marked() {
    let cron = next(["--cron", "0 9 * * mon-frx"]);
    assert_eq!((cron.status.code(), cron.output.as_str()), (Some(1), ""));
    insta::assert_snapshot!(cron.log, @"
    error: `frx` is not a day of the week
     --> --cron:1:13
      |
    1 | 0 9 * * mon-frx
      |             ^^^
      |
    help: days of the week are 0 to 7 (0 and 7 are Sunday), or sun to sat
    ");
    let every = next(["--every", "1 hr"]);
    assert_eq!((every.status.code(), every.output.as_str()), (Some(1), ""));
    insta::assert_snapshot!(every.log, @"
    error: `hr` is not a unit of time
     --> --every:1:3
      |
    1 | 1 hr
      |   ^^
      |
    help: units are y, M (30 days), w, d, h, m (minutes) and s, or their names: `1h30m`, `15 minutes`
    ");
}

#[test]
fn check_lists_the_entries_of_good_files() {
    let good = Program::new().args(["check"]).schedule(SCHEDULE).run();
    let output = good.succeeded().output;
    let lines: Vec<_> = output.lines().collect();
    let part = |line: usize, part: &str| assert!(lines[line].contains(part), "{output}");
    assert_eq!(lines.len(), 4);
    part(0, "clear_leaderboards  cron 30 6 * * 1 America/New_York");
    part(0, "  next Mon ");
    part(1, "nightly_invoices    cron 30 2 * * * in Europe/Stockholm");
    part(1, " 02:30:00 +0");
    part(1, " Europe/Stockholm, in ");
    part(2, "rebuild             manual ");
    part(2, "no next fire");
    part(3, "sync                every 12h");
    part(3, " Europe/Stockholm, in 12 h");
}

#[test]
fn check_reports_errors_as_the_daemon_does() {
    let text = "[schedule.a]\ncron = '0 25 * * *'\n[schedule.b]\nevry = '1h'\nqueue = 'q'\n";
    let mut check = Program::new().args(["check"]).schedule(text);
    let checked = check.run();
    assert_eq!(
        (checked.status.code(), checked.output.as_str()),
        (Some(1), "")
    );
    let file = check.path("schedule.toml");
    let mut daemon = Program::new().args([file.to_str().unwrap()]);
    assert_eq!(checked.log, daemon.run().log);
    assert!(
        checked.log.contains("3 errors in 1 file"),
        "{}",
        checked.log
    );
}

#[test]
fn check_fails_on_warnings_with_strict() {
    let check = |text: &str, strict: bool| {
        let mut program = Program::new().args(["check", "a.yml"]);
        if strict {
            program = program.args(["--strict"]);
        }
        program.write("a.yml", text);
        program.run()
    };
    let text = "a: {every: 1h, queue: q, timeout: 5}\nb: {queue: q}\n";
    let lenient = check(text, false).succeeded();
    let strict = check(text, true);
    assert_eq!(strict.status.code(), Some(1));
    assert_eq!(strict.output, lenient.output);
    assert_eq!(
        strict.log,
        format!("{}error: 2 warnings (--strict)\n", lenient.log)
    );
    let one = check("a: {every: 1h, queue: q, timeout: 5}\n", true);
    assert!(
        one.log.ends_with("error: 1 warning (--strict)\n"),
        "{}",
        one.log
    );
    assert_eq!(
        check("a: {every: 1h, queue: q}\n", true).succeeded().log,
        ""
    );
}

#[test]
fn commands_with_missing_or_conflicting_arguments_fail_with_code_2() {
    for args in [
        &["check"][..],
        &["next"],
        &["next", "a.toml", "--cron", "* * * * *"],
        &["next", "--cron", "* * * * *", "--entry", "a"],
        &["next", "--batch", "--json"],
        &["next", "--cron", "* * * * *", "--count", "0"],
    ] {
        let finished = args
            .iter()
            .fold(Program::new(), |it, arg| it.args([*arg]))
            .run();
        assert_eq!(
            finished.status.code(),
            Some(2),
            "{args:?}: {}",
            finished.log
        );
    }
}

#[test]
fn check_reads_the_environment_and_a_schedule_may_have_the_name_of_a_command() {
    let text = "[schedule.a]\nevery = '1h'\nqueue = 'q'\nenv = 'production'\n";
    let mut program = Program::new().args(["check", "./next"]);
    program = program.env("RAILS_ENV", "production").env("TZ", "");
    // These commands ignore the variables of the daemon, even if they are invalid.
    program = program
        .env("REDIS_URL", "redis://nowhere")
        .env("QUIET", "1")
        .env("LOCK_TIMEOUT", "abc");
    program.write("next", text);
    assert_eq!(program.run().succeeded().output.lines().count(), 1);
    let mut program = program.env("RAILS_ENV", "");
    let output = program.run().succeeded().output;
    assert_eq!(output, "a  left out  for another environment\n");
    let daemon = Program::new().args(["--once", "./next"]);
    daemon.write("next", "?");
    let log = { daemon }.run().log;
    assert!(log.contains("./next:1:1"), "{log}");
}

#[test]
fn version_names_the_time_zone_database() {
    let version = Program::new().args(["--version"]).run().succeeded().output;
    let zones = format!("(time zone database {})", chrono_tz::IANA_TZDB_VERSION);
    assert!(version.contains(&zones), "{version}");
}

#[test]
fn a_batch_answers_every_line_in_order() {
    let answers = Program::new().env("TZ", "Asia/Tokyo").args(["next", "--batch"]).converse([
        r#"{"cron": "0 12 * * *", "tz": "Europe/Paris", "from": "2026-11-24T11:59:59.5Z", "count": 2}"#,
        r#"{"cron": "0 12 * * * UTC", "tz": "+02:00", "from": "2026-11-24T13:00:00+01:00"}"#,
        r#"{"cron": "0 12 * * *", "tz": null, "from": "2026-11-24T11:59:59.5Z", "count": 1}"#,
        r#"{"cron": "0 12 * * *", "count": 0}"#,
        r#"{"every": "1h30m"}"#,
        r#"{"every": "1.25h 0.5s"}"#,
        r#"{"every": "-1m"}"#,
        r#"{"every": "1hr"}"#,
        r#"{"cron": "0 25 * * *"}"#,
        r#"{"cron": "0 12 * * *", "tz": "Europe/Pari"}"#,
        r#"{"cron": "0 12 * * *", "from": "noon"}"#,
        r#"{"cron": "0 12 * * *", "every": "1h"}"#,
        "",
        "noon",
        r#"{"every": "30"}"#,
    ]);
    insta::assert_snapshot!(answers.join("\n"), @r#"
    {"next":["2026-11-25T11:00:00Z","2026-11-26T11:00:00Z"]}
    {"next":["2026-11-25T12:00:00Z","2026-11-26T12:00:00Z","2026-11-27T12:00:00Z","2026-11-28T12:00:00Z","2026-11-29T12:00:00Z"]}
    {"next":["2026-11-24T12:00:00Z"]}
    {"next":[]}
    {"seconds":5400}
    {"error":"an interval must be a whole number of seconds, at least one","seconds":4500.5}
    {"error":"an interval must be a whole number of seconds, at least one","seconds":-60}
    {"error":"`hr` is not a unit of time; units are y, M (30 days), w, d, h, m (minutes) and s, or their names: `1h30m`, `15 minutes`"}
    {"error":"`25` is not an hour; hours are 0 to 23, and 24 is 0"}
    {"error":"unknown time zone `Europe/Pari`; did you mean `Europe/Paris`?"}
    {"error":"expected a time from 1970 to 2199, such as 2026-11-23T12:00:00Z"}
    {"error":"expected either `cron` or `every`"}
    {"error":"not a question: EOF while parsing a value at line 1 column 0"}
    {"error":"not a question: expected ident at line 1 column 2"}
    {"seconds":30}
    "#);
}

/// Whether an answer agrees with a row of the golden data.
fn agrees(row: &Value, answer: &Value) -> bool {
    let refused = answer["error"].is_string();
    if row["text"].is_null() {
        return match row["error"].as_bool() {
            Some(true) => refused && answer["next"].is_null(),
            _ => !refused && answer["next"] == row["next"],
        };
    }
    // The gem adds floats, so its result is not exact.
    let near = |expected: f64| {
        let seconds = answer["seconds"].as_f64();
        seconds.is_some_and(|seconds| (seconds - expected).abs() < 1e-5)
    };
    match row["seconds"].as_f64() {
        None => refused && answer["seconds"].is_null(),
        // Such a duration is too long for `TimeDelta`.
        Some(seconds) if seconds > TimeDelta::MAX.as_seconds_f64() => {
            refused && answer["seconds"].is_null()
        }
        Some(seconds) => {
            let whole = answer["seconds"].is_i64();
            let taken = row["every_ok"] == true && whole && seconds >= 1.0;
            near(seconds) && refused != taken
        }
    }
}

#[test]
fn the_answers_of_a_batch_agree_with_the_golden_data() {
    let files = ["cron.jsonl", "dst.jsonl", "durations.jsonl"];
    let mut rows: Vec<(&str, Value)> = vec![];
    for file in files {
        let text = vectors(file);
        let lines = text.lines();
        rows.extend(lines.map(|line| (file, serde_json::from_str(line).unwrap())));
    }
    let question = |(_, row): &(_, Value)| match &row["text"] {
        Value::Null => json!({ "cron": row["cron"], "tz": row["tz"], "from": row["from"] }),
        text => json!({ "every": text }),
    };
    let questions: Vec<_> = rows.iter().map(|row| question(row).to_string()).collect();
    let questions = questions.iter().map(String::as_str);
    let answers = Program::new().args(["next", "--batch"]).converse(questions);
    let mut failures = vec![];
    for file in files {
        let (mut agreeing, mut total) = (0, 0);
        for ((_, row), answer) in rows.iter().zip(&answers).filter(|((of, _), _)| *of == file) {
            total += 1;
            if agrees(row, &serde_json::from_str(answer).unwrap()) {
                agreeing += 1;
            } else {
                failures.push(format!("{row}\n  {answer}"));
            }
        }
        println!("{file} through --batch: {agreeing}/{total}");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn check_prints_entries_errors_and_warnings_as_json() {
    let check = |schedule: &str| {
        let program = Program::new().args(["check", "--json"]).schedule(schedule);
        let finished = { program }.run();
        let answer: Value = serde_json::from_str(&finished.output).unwrap();
        assert_eq!(answer["schema_version"], 1);
        (answer, finished.status.code().unwrap())
    };
    let (answer, code) = check(
        "[schedule.nightly]\ncron = '30 3 * * *'\nqueue = 'reports'\n[schedule.off]\nqueue = 'q'\nenabled = false\n",
    );
    assert_eq!(code, 0);
    let entry = &answer["entries"][0];
    assert_eq!(
        (&entry["name"], &entry["queue"]),
        (&json!("nightly"), &json!("reports"))
    );
    assert!(
        entry["source"]
            .as_str()
            .unwrap()
            .ends_with("schedule.toml:1")
    );
    assert!(entry["next"].as_str().unwrap().ends_with("T03:30:00Z"));
    assert_eq!(
        answer["left_out"],
        json!([{"name": "off", "reason": "not enabled"}])
    );
    let (answer, code) = check("[schedule.a]\nevery = 'soon'\nqueue = 'q'\n");
    assert_eq!((code, &answer["entries"]), (1, &json!([])));
    let error = &answer["errors"][0];
    assert!(
        error["place"]
            .as_str()
            .unwrap()
            .ends_with("schedule.toml:2:10"),
        "{error}"
    );
    assert_eq!(error["message"], "`soon` is not a number");
    assert!(
        error["help"]
            .as_str()
            .unwrap()
            .starts_with("a duration is numbers")
    );
}

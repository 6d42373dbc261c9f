//! A log pipe without a reader, and log lines with hostile values.

use std::{fmt::Write as _, io::Read as _, time::Duration};

use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};
use redis::Commands as _;
use serde_json::json;

use crate::harness::{
    LOCK, Program, Redis, Scheduler, eventually, now,
    ticks::{EACH_SECOND, goes_on_without_a_gap, wait_for_fires},
};

/// Number of entries, and so of status lines: more than 600 bytes each, they fill a quarter of the pipe and the
/// queue behind it.
const ENTRIES: usize = 2_500;

/// A schedule that fires every second, and whose status is 1.5 MB of log lines.
fn talkative() -> String {
    let mut schedule = EACH_SECOND.to_owned();
    for number in 0..ENTRIES {
        let name = format!("{number}{}", "x".repeat(500));
        write!(schedule, "\n[schedule.{name}]\nqueue = \"q\"\n").unwrap();
    }
    schedule
}

/// Requests the status until the pipe and the queue behind it are full.
fn fill(redis: &mut Redis, scheduler: &Scheduler) {
    wait_for_fires(redis, scheduler, 1);
    for _ in 0..4 {
        let before = redis.commands_processed();
        scheduler.signal(Signal::SIGUSR1);
        // A status reads the records of all entries from Redis.
        eventually(|| match redis.commands_processed() - before {
            0..=3 => Err("no status"),
            _ => Ok(()),
        });
        goes_on_without_a_gap(redis, scheduler, 1);
    }
}

#[test]
fn a_log_pipe_that_nobody_reads_delays_neither_fires_nor_a_stop() {
    let mut redis = Redis::start();
    let (mut scheduler, _pipe) = Program::on(&redis).schedule(&talkative()).start_with_pipe();
    fill(&mut redis, &scheduler);
    goes_on_without_a_gap(&mut redis, &scheduler, 3);
    let started = now();
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(scheduler.ended().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(1), "{started:?}");
    let lock: Option<String> = redis.connection.get(LOCK).unwrap();
    assert_eq!(lock, None, "the lease was not released");
}

#[test]
fn when_the_pipe_is_read_again_one_line_says_how_many_lines_were_dropped() {
    let mut redis = Redis::start();
    let (mut scheduler, mut pipe) = Program::on(&redis).schedule(&talkative()).start_with_pipe();
    fill(&mut redis, &scheduler);
    let reader = std::thread::spawn(move || {
        let mut log = String::new();
        pipe.read_to_string(&mut log).unwrap();
        log
    });
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(scheduler.ended().code(), Some(0));
    let log = reader.join().unwrap();
    let reports: Vec<_> = log
        .lines()
        .filter(|line| {
            line.contains("WARN dropped log lines that could not be written in time lines=")
        })
        .collect();
    let [report] = *reports else {
        panic!("{} lines say it", reports.len());
    };
    let (_, dropped) = report.split_once("lines=").unwrap();
    assert!(dropped.parse::<usize>().unwrap() > ENTRIES, "{report}");
    let whole = |line: &&str| line.starts_with("20") && line.contains('Z');
    assert_eq!(log.lines().find(|line| !whole(line)), None);
    assert!(log.lines().last().unwrap().ends_with("stopped"));
}

#[test]
fn an_error_that_ends_the_process_is_the_last_line_on_standard_error() {
    let finished = Program::new()
        .args(["--once", "--redis-url", "redis://127.0.0.1:1"])
        .run();
    assert_eq!(finished.status.code(), Some(1));
    let last = finished.log.lines().last().unwrap();
    assert!(
        last.starts_with("error: Redis at 127.0.0.1:1"),
        "{}",
        finished.log
    );
    assert!(
        finished.log.contains("rescue-scheduler starts"),
        "{}",
        finished.log
    );
}

/// Characters that would break a line, control a terminal, or reverse the direction of text.
const HOSTILE: &str = "\n\r\t\u{1b}[2J\u{7f}\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}";

#[test]
fn no_value_breaks_a_log_line_or_puts_control_characters_into_it() {
    let forged = "2026-01-01T00:00:00Z  INFO leading";
    let hostile = format!("x{HOSTILE}{forged}");
    let entry =
        json!({"class": "C", "queue": "q", "every": "1s", &hostile: 1, "description": &hostile});
    let refused = json!({"class": &hostile, "queue": "q", "every": &hostile});
    let schedule = json!({"every": "1s", "class": &hostile, "queue": &hostile, &hostile: 1});
    for format in ["text", "json", "logfmt"] {
        let mut redis = Redis::start();
        let entries = "resque:persistent_schedules";
        let () = redis
            .connection
            .hset(entries, &hostile, entry.to_string())
            .unwrap();
        let () = redis
            .connection
            .hset(entries, "refused", refused.to_string())
            .unwrap();
        redis.delay(1_000, format!("no JSON{hostile}"));
        let program =
            Program::on(&redis).args(["--dynamic", "-F", format, "a.yml", "--app-name", &hostile]);
        let mut yaml = json!({ &hostile: schedule }).to_string();
        for letter in HOSTILE.chars().filter(|it| *it > '~') {
            yaml = yaml.replace(letter, &format!("\\u{:04x}", u32::from(letter)));
        }
        program.write("a.yml", &yaml);
        let scheduler = program.start();
        for expected in [
            "fired",
            "warning about a dynamic entry",
            "warning about a schedule file",
            "refused",
            "quarantine",
        ] {
            scheduler.wait_for(expected);
        }
        scheduler.signal(Signal::SIGUSR1);
        scheduler.wait_for("unhealthy");
        let log = scheduler.log();
        for line in log.lines() {
            assert!(!line.starts_with(forged), "{line}");
            let hostile = |letter: char| !letter.is_ascii_graphic() && HOSTILE.contains(letter);
            assert!(!line.contains(hostile), "{line:?}");
            if format == "json" {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}

#[test]
fn a_log_file_that_is_a_pipe_without_a_reader_is_refused() {
    let redis = Redis::start();
    let mut program = Program::on(&redis).args(["--once", "--logfile", "log"]);
    let pipe = program.path("log");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let finished = program.run();
    assert_eq!(finished.status.code(), Some(1));
    let error = "error: cannot open log file log: it is a pipe or a socket that nobody reads";
    assert!(finished.log.contains(error), "{}", finished.log);

    let reader = std::thread::spawn(move || std::fs::read_to_string(pipe).unwrap());
    // The program refuses the pipe until the reader has opened it.
    eventually(|| match program.run() {
        finished if finished.status.success() => Ok(()),
        finished => Err(finished.log),
    });
    assert!(reader.join().unwrap().contains("rescue-scheduler starts"));
}

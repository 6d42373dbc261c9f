//! A log that nobody reads, and log lines with hostile values.

use std::{fmt::Write as _, io::Read as _, time::Duration};

use nix::sys::signal::Signal;

use crate::harness::{
    Program, Redis, Scheduler, eventually, now,
    ticks::{EACH_SECOND, goes_on_without_a_gap, wait_for_fires},
};

/// How many log lines fill the pipe and everything behind it: each is 10 kB.
const ENTRIES: usize = 500;

/// A schedule that fires every second, and whose status is 5 MB of log lines.
fn talkative() -> String {
    let mut schedule = EACH_SECOND.to_owned();
    for number in 0..ENTRIES {
        let name = format!("{number}{}", "x".repeat(10_000));
        write!(schedule, "\n[schedule.{name}]\nqueue = \"q\"\n").unwrap();
    }
    schedule
}

/// Asks for the status until the log must be full.
fn fill(redis: &mut Redis, scheduler: &Scheduler) {
    wait_for_fires(redis, scheduler, 1);
    for _ in 0..4 {
        let before = redis.commands_processed();
        scheduler.signal(Signal::SIGUSR1);
        // The status reads the records of all entries.
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
    let lock: Option<String> =
        redis::Commands::get(&mut redis.connection, crate::harness::LOCK).unwrap();
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
    let told: Vec<_> = log
        .lines()
        .filter(|line| {
            line.contains("WARN log lines dropped: they could not be written in time lines=")
        })
        .collect();
    let [told] = *told else {
        panic!("{} lines say it", told.len());
    };
    let (_, dropped) = told.split_once("lines=").unwrap();
    assert!(dropped.parse::<usize>().unwrap() > ENTRIES, "{told}");
    let whole = |line: &&str| line.starts_with("20") && line.contains('Z');
    assert_eq!(log.lines().find(|line| !whole(line)), None);
    assert!(log.lines().last().unwrap().ends_with("stopped"));
}

#[test]
fn a_failure_is_the_last_thing_on_standard_error() {
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

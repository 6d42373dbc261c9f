//! Signals at any moment; a stop takes less than a second whatever the process is doing.

use std::{fmt::Write as _, fs, time::Duration};

use nix::sys::signal::Signal;

use crate::harness::{Program, Redis, Scheduler, eventually, now};

/// Returns a schedule that takes seconds to read.
fn huge(entries: usize) -> String {
    let mut text = String::new();
    for number in 0..entries {
        writeln!(
            text,
            "[schedule.entry_{number}]\nevery = \"1h\"\nqueue = \"q\""
        )
        .unwrap();
    }
    text
}

/// Waits until the process handles HUP. It has not read the schedule by then.
fn wait_until_it_listens(scheduler: &Scheduler) {
    let status = format!("/proc/{}/status", scheduler.pid());
    eventually(|| {
        let status = fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|it| it.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        match caught & 1 << (Signal::SIGHUP as u64 - 1) {
            0 => Err("it does not listen to HUP"),
            _ => Ok(()),
        }
    });
}

#[test]
#[cfg(target_os = "linux")]
fn signals_while_the_schedule_is_first_read_do_not_end_the_process() {
    let redis = Redis::start();
    let scheduler = Program::on(&redis).schedule(&huge(20_000)).start();
    wait_until_it_listens(&scheduler);
    assert_eq!(scheduler.log(), "");
    for signal in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2] {
        scheduler.signal(signal);
    }
    scheduler.wait_for("became the leader holder=");
    scheduler
        .wait_for("schedule reloaded")
        .wait_for("INFO healthy");
}

#[test]
#[cfg(target_os = "linux")]
fn term_while_a_huge_schedule_is_read_ends_the_process_within_a_second() {
    let redis = Redis::start();
    let mut scheduler = Program::on(&redis).schedule(&huge(300_000)).start();
    wait_until_it_listens(&scheduler);
    // By then, the process is reading the file.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(scheduler.log(), "");
    let started = now();
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(scheduler.ended().code(), Some(0));
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    assert!(
        !scheduler.log().contains("became the leader"),
        "{}",
        scheduler.log()
    );
}

#[test]
fn term_with_a_huge_schedule_in_force_ends_the_process_within_a_second() {
    let redis = Redis::start();
    let mut scheduler = Program::on(&redis).schedule(&huge(100_000)).start();
    scheduler.wait_for("became the leader holder=");
    let started = now();
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(scheduler.ended().code(), Some(0));
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
}

//! Very many entries: long passes over them leave time for the other loops.

use std::{fmt::Write as _, sync::Arc};

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use redis::Commands as _;
use rescue_scheduler::{
    clock::StoppedClock,
    core::{
        term::{Attempt, Term},
        time::zone::Zone,
    },
    engine::{Tick, recurring::Recurring},
    events::Events,
};

use crate::{
    harness::{
        Program, Redis, Scheduler, eventually, now,
        ticks::{EACH_SECOND, fire_times, goes_on_without_a_gap, wait_for_fires},
        unix_now,
    },
    store::{LEASE, leader, schedule},
};

const ENTRIES: usize = 20_000;

/// An entry that fires every second, and others that fire once a year.
fn entries(minute: usize) -> String {
    let mut schedule = EACH_SECOND.to_owned();
    for number in 0..ENTRIES {
        let hour = number % 24;
        let cron = format!("{minute} {hour} 1 1 *");
        writeln!(
            schedule,
            "[schedule.e{number}]\ncron = '{cron}'\nqueue = 'q'"
        )
        .unwrap();
    }
    schedule
}

fn started(redis: &mut Redis, lease: &str) -> Scheduler {
    let program = Program::on(redis).args(["--lease", lease]);
    let scheduler = program.schedule(&entries(0)).start();
    wait_for_fires(redis, &scheduler, 1);
    scheduler
}

/// Returns the greatest lateness of a fire in this part of the log, in milliseconds.
fn latest(log: &str) -> u64 {
    let lateness = log
        .lines()
        .filter_map(|line| line.rsplit_once("lateness_ms="));
    lateness.map(|(_, ms)| ms.parse().unwrap()).max().unwrap()
}

#[test]
fn a_restart_and_a_reload_with_many_entries_keep_a_short_lease() {
    let mut redis = Redis::start();
    let mut scheduler = started(&mut redis, "1s");
    scheduler.signal(Signal::SIGTERM);
    scheduler.ended();
    scheduler.start_again();
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    let file = scheduler.program.path("schedule.toml");
    std::fs::write(file, entries(1)).unwrap();
    scheduler.signal(Signal::SIGHUP);
    scheduler.wait_for("schedule reloaded");
    goes_on_without_a_gap(&mut redis, &scheduler, 3);
    let log = scheduler.log();
    assert!(!log.contains("not leading"), "{log}");
}

#[test]
fn after_a_lost_connection_only_the_records_of_one_entry_are_read() {
    let mut redis = Redis::start();
    let scheduler = started(&mut redis, "15s");
    // A publication that is interrupted would start again, so wait until it is done.
    let key = "resque:rescue_scheduler:entries";
    eventually(|| {
        let published: usize = redis.connection.hlen(key).unwrap();
        (published > ENTRIES).then_some(()).ok_or(published)
    });
    redis.command("CONFIG RESETSTAT");
    redis.command("CLIENT KILL TYPE normal SKIPME yes");
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    let statistics: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut redis.connection)
        .unwrap();
    // A heartbeat sends one `HSCAN` to find schedulers that are gone. Reading all records would take many.
    let is_heartbeat = statistics.contains("cmdstat_hscan:calls=1,");
    assert!(
        is_heartbeat || !statistics.contains("cmdstat_hscan"),
        "{statistics}"
    );
    // Six calls for the records, and one for each of the two fires, which reads the paused entries.
    assert!(
        statistics.contains("cmdstat_hmget:calls=8,"),
        "{statistics}"
    );
}

#[test]
fn a_status_report_of_many_entries_delays_no_fire() {
    let mut redis = Redis::start();
    let scheduler = started(&mut redis, "15s");
    // Skip the fires that were missed while the entries were put in force.
    let caught_up = unix_now() + 2;
    eventually(|| match fire_times(&mut redis).last() {
        Some(last) if *last >= caught_up => Ok(()),
        last => Err(format!("{last:?}")),
    });
    let before = scheduler.log().len();
    scheduler.status("e9999");
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    let latest = latest(&scheduler.log()[before..]);
    println!("at most {latest} ms late");
    assert!(latest < 500, "{latest} ms late");
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn term() -> Term {
    let attempt = Attempt {
        started: now(),
        server_clock: at(100_000),
    };
    Term::new(1, LEASE, attempt)
}

#[tokio::test]
async fn a_reload_frees_the_previous_schedule() {
    let redis = Redis::start();
    let store = leader(&redis).await;
    let clock = Arc::new(StoppedClock(at(0)));
    let mut engine = Recurring::new(store, clock, Zone::UTC, Events::default());
    let (old, new) = (schedule(EACH_SECOND), schedule(EACH_SECOND));
    let old_entry = Arc::downgrade(old.get("tick").unwrap());
    for schedule in [old, new] {
        let pass = engine.pass(term(), Arc::new(schedule), at(100_000));
        pass.await.unwrap();
    }
    assert!(old_entry.upgrade().is_none());
}

#[tokio::test]
async fn very_many_changes_come_into_force_in_steps_and_entries_fire_between_them() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let schedule = |every: &str| {
        let entry = |number| format!("[schedule.e{number}]\nevery = '{every}'\nqueue = 'q'\n");
        let entries: String = (0..5_000).map(entry).collect();
        Arc::new(schedule(&format!("{entries}{EACH_SECOND}")))
    };
    let (old, new) = (schedule("1h"), schedule("2h"));
    let mut engine = Recurring::new(
        store,
        Arc::new(StoppedClock(at(0))),
        Zone::UTC,
        Events::default(),
    );
    let term = term();
    engine.pass(term, old, at(100_000)).await.unwrap();
    for (second, changed) in [(1, 2_000), (2, 4_000), (3, 5_000)] {
        let new = Arc::clone(&new);
        let tick = engine.pass(term, new, at(100_000 + second)).await.unwrap();
        assert_eq!(tick == Tick::More, changed < 5_000);
        let key = "resque:rescue_scheduler:seen";
        let seen: Vec<String> = redis.connection.hvals(key).unwrap();
        let ours = seen.iter().filter(|it| it.ends_with(" v1 every 7200"));
        assert_eq!(ours.count(), changed);
        assert_eq!(fire_times(&mut redis).last(), Some(&(100_000 + second)));
    }
}

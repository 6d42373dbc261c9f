//! Measures memory, CPU time and commands while nothing is due.

use std::{fs, thread, time::Duration};

use crate::{
    bed::{Redis, Scheduler},
    firing::entries,
};

/// Returns the resident memory with `count` entries in MB: when all are in force, and at its peak.
pub fn memory(count: usize) -> (f64, f64) {
    let redis = Redis::start();
    let scheduler = Scheduler::start(&redis, &entries(count, "cron = '0 0 1 1 *'"));
    scheduler.wait_for("became the leader");
    thread::sleep(Duration::from_secs(3));
    (scheduler.megabytes("VmRSS:"), scheduler.megabytes("VmHWM:"))
}

/// Returns commands per second, including those of scripts, round trips per second, and the share of one core.
pub fn idle(seconds: u32) -> (f64, f64, f64) {
    let mut redis = Redis::start();
    let scheduler = Scheduler::start(&redis, &entries(10, "cron = '0 0 1 1 *'"));
    scheduler.wait_for("became the leader");
    thread::sleep(Duration::from_secs(2));
    let before = counts(&mut redis);
    let computed = scheduler.computed();
    thread::sleep(Duration::from_secs(seconds.into()));
    let computed = scheduler.computed().saturating_sub(computed);
    let after = counts(&mut redis);
    // Two of the commands are the `INFO` calls of this measurement.
    let each = |count: u64| f64::from(u32::try_from(count - 2).unwrap()) / f64::from(seconds);
    let share = computed.as_secs_f64() / f64::from(seconds);
    (each(after.0 - before.0), each(after.1 - before.1), share)
}

fn counts(redis: &mut Redis) -> (u64, u64) {
    let commands = redis.info("stats", "total_commands_processed");
    (commands, redis.info("stats", "total_reads_processed"))
}

/// Returns the size of the program in MB.
pub fn binary() -> f64 {
    let size = fs::metadata(env!("CARGO_BIN_EXE_rescue-scheduler"))
        .unwrap()
        .len();
    f64::from(u32::try_from(size).unwrap()) / 1e6
}

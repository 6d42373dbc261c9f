//! A fault of one thing affects only that thing. One file for each kind of fault: in each test, something is too
//! large, too slow, forbidden or broken, and everything else works.

mod denied_keys;
mod denied_queues;
mod large_items;
mod long_texts;
mod many_entries;
mod odd_records;
mod quarantine;
mod slow_links;
mod staying_items;
mod stuck_buckets;

use crate::harness::{
    Program, Redis, Scheduler, eventually, payload,
    ticks::{EACH_SECOND, wait_for_fires},
};

/// Returns a scheduler that is the leader and has fired.
fn started<const N: usize>(redis: &mut Redis, url: &str, flags: [&str; N]) -> Scheduler {
    let program = Program::new().args(["--redis-url", url, "--lease", "5s"]);
    let scheduler = program.args(flags).schedule(EACH_SECOND).start();
    wait_for_fires(redis, &scheduler, 1);
    scheduler
}

/// Waits until `queue` has this many jobs, in order.
#[track_caller]
fn holds(redis: &mut Redis, scheduler: &Scheduler, queue: &str, jobs: usize) {
    let expected: Vec<String> = (0..jobs).map(payload).collect();
    eventually(|| match redis.queue(queue) {
        held if held.len() < jobs => Err(format!("{} of {jobs}\n{}", held.len(), scheduler.log())),
        held => {
            assert!(held == expected, "lost, doubled or out of order");
            Ok(())
        }
    });
}

/// Waits until the quarantine has this many records, and returns them.
#[track_caller]
fn quarantined(redis: &mut Redis, scheduler: &Scheduler, number: usize) -> Vec<serde_json::Value> {
    let list = crate::harness::QUARANTINE;
    let records: Vec<String> = eventually(|| {
        let held: Vec<String> =
            redis::Commands::lrange(&mut redis.connection, list, 0, -1).unwrap();
        match held.len() {
            length if length >= number => Ok(held),
            length => Err(format!("{length} of {number}\n{}", scheduler.log())),
        }
    });
    assert_eq!(records.len(), number);
    records
        .iter()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect()
}

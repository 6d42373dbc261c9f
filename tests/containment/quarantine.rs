//! The quarantine: its size is bounded and shown in the status.

use redis::Commands;

use super::{holds, quarantined, started};
use crate::harness::{QUARANTINE, Redis, eventually, item, ticks::goes_on_without_a_gap};

#[test]
fn a_full_quarantine_leaves_bad_jobs_in_their_buckets_and_other_buckets_are_moved() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    for number in 0..25 {
        redis.delay(1_000 + number, format!("garbage {number}"));
    }
    redis.delay(1_100, vec![b'x'; 2_000]);
    redis.delay(2_000, item("q", 0));
    let flags = ["--quarantine-limit", "10", "--max-item-size", "1k"];
    let scheduler = started(&mut redis, &url, flags);

    holds(&mut redis, &scheduler, "q", 1);
    quarantined(&mut redis, &scheduler, 10);
    scheduler
        .wait_for(
            "bucket is stuck; leaving it in place bucket=\"delayed:1010\" reason=\"the quarantine is full\"",
        )
        .wait_for("bucket=\"delayed:1100\" reason=\"the quarantine is full\"")
        .status(
            "buckets that cannot be moved: 16, the first is delayed:1010 (the quarantine is full)",
        )
        .status("quarantined=10");
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    quarantined(&mut redis, &scheduler, 10);
    let log = scheduler.log();
    assert_eq!(log.matches("bucket is stuck").count(), 16, "{log}");
    let waiting: usize = redis
        .connection
        .zcard("resque:delayed_queue_schedule")
        .unwrap();
    assert_eq!(waiting, 16);

    // Make room in the quarantine.
    redis.command(&format!("LTRIM {QUARANTINE} 10 -1"));
    quarantined(&mut redis, &scheduler, 10);
    redis.command(&format!("LTRIM {QUARANTINE} 10 -1"));
    quarantined(&mut redis, &scheduler, 6);
    scheduler.status(" healthy leading=true quarantined=6");
}

#[test]
fn a_queue_of_the_wrong_type_is_shown_until_it_takes_jobs() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    redis.command("SET resque:queue:broken x");
    for number in 0..20 {
        redis.delay(1_000, item("broken", number));
        redis.delay(1_000, item("q", number));
    }
    let scheduler = started(&mut redis, &url, []);
    holds(&mut redis, &scheduler, "q", 20);
    quarantined(&mut redis, &scheduler, 20);
    scheduler
        .status("queues that reject delayed jobs: 1, the first is broken (")
        .status("WRONGTYPE")
        .status("quarantined=20");
    redis.command("DEL resque:queue:broken");
    // The size is read every ten seconds.
    scheduler.status(" healthy leading=true quarantined=20");

    redis.command("SET resque:queue:broken x");
    redis.delay(1_000, item("broken", 20));
    scheduler.status("queues that reject delayed jobs: 1");
    redis.command("DEL resque:queue:broken");
    redis.delay(1_000, item("broken", 21));
    eventually(|| match redis.queue("broken").len() {
        1 => Ok(()),
        _ => Err(scheduler.log()),
    });
    scheduler.status(" healthy");
}

//! Long texts that others wrote: errors, names of buckets, the lock.

use redis::Commands;

use super::{holds, started};
use crate::harness::{LOCK, Program, Redis, item, ticks::goes_on_without_a_gap};

const LONG: usize = 5_000_000;

#[test]
fn a_text_of_5_mb_is_cut_in_logs_and_in_the_status() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    let name = "x".repeat(LONG);
    let () = redis.connection.pset_ex(LOCK, &name, 1_000).unwrap();
    let follower = Program::new().args(["--redis-url", &url]).start();
    follower.wait_for("following leader=");
    drop(follower);

    // A bucket and a queue of the wrong type.
    let () = redis
        .connection
        .set(format!("resque:delayed:{name}"), "x")
        .unwrap();
    let schedule = "resque:delayed_queue_schedule";
    let () = redis.connection.zadd(schedule, &name, 1_000).unwrap();
    let () = redis
        .connection
        .set(format!("resque:queue:{name}"), "x")
        .unwrap();
    redis.delay(1_000, item(&name, 0));
    redis.delay(1_000, item("q", 0));
    let scheduler = started(&mut redis, &url, []);
    holds(&mut redis, &scheduler, "q", 1);
    scheduler
        .wait_for("bucket is stuck")
        .status("buckets that cannot be moved: 1")
        .status("queues that reject delayed jobs: 1");
    let log = scheduler.log();
    assert!(log.contains("(cut, "));
    let longest = log.lines().map(str::len).max();
    assert!(longest < Some(3_000), "a line of {longest:?} bytes");
}

#[test]
fn a_dynamic_entry_of_1_mb_with_60_000_unknown_keys_delays_no_fire_and_fills_no_log() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    let scheduler = started(&mut redis, &url, ["--dynamic"]);
    let keys: Vec<_> = (0..60_000).map(|it| format!("\"unknown{it}\":1")).collect();
    let keys = keys.join(",");
    for (name, json) in [
        (
            "many_keys",
            format!("{{\"queue\":\"q\",\"every\":\"1h\",{keys}}}"),
        ),
        (
            "many_options",
            format!("{{\"queue\":\"q\",\"every\":[\"1h\",{{{keys}}}]}}"),
        ),
        (
            "long_key",
            format!(
                "{{\"queue\":\"q\",\"every\":\"1h\",\"{}\":1}}",
                "x".repeat(LONG)
            ),
        ),
    ] {
        let () = redis
            .connection
            .hset("resque:persistent_schedules", name, json)
            .unwrap();
        let () = redis
            .connection
            .sadd("resque:schedules_changed", name)
            .unwrap();
        scheduler.wait_for(&format!("dynamic entries changed added={name:?}"));
        goes_on_without_a_gap(&mut redis, &scheduler, 2);
    }
    let log = scheduler.log();
    assert_eq!(
        log.matches("59980 more keys are ignored").count(),
        2,
        "{log}"
    );
    assert_eq!(
        log.matches("warning about a dynamic entry").count(),
        21 + 21 + 1
    );
    let longest = log.lines().map(str::len).max();
    assert!(longest < Some(3_000), "a line of {longest:?} bytes");
}

#[test]
fn of_many_dynamic_entries_with_errors_the_first_fifty_are_logged_and_the_rest_is_counted() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    for number in 0..2_000 {
        let key = "resque:persistent_schedules";
        let () = redis
            .connection
            .hset(key, number, "{\"every\":\"soon\"}")
            .unwrap();
    }
    let scheduler = started(&mut redis, &url, ["--dynamic"]);
    scheduler.wait_for(
        " more dynamic entries have errors or warnings, or are left out; not logged entries=1950\n",
    );
    let log = scheduler.log();
    assert_eq!(log.matches("dynamic entry rejected").count(), 50, "{log}");
    scheduler.status("dynamic entries with errors: 2000, the first is 0 (");
}

#[test]
fn an_entry_with_a_name_and_a_class_of_5_mb_makes_no_long_log_line() {
    let mut redis = Redis::start();
    let name = "x".repeat(LONG);
    let schedule =
        format!("[schedule.\"{name}\"]\nevery = \"1s\"\nclass = \"{name}\"\nqueue = \"q\"\n");
    let scheduler = Program::on(&redis).schedule(&schedule).start();
    scheduler.wait_for("INFO fired entry=\"x");
    scheduler.status("INFO entry entry=\"x");
    let log = scheduler.log();
    let longest = log.lines().map(str::len).max();
    assert!(longest < Some(3_000), "a line of {longest:?} bytes");
    assert!(!redis.queue("q").is_empty());
}

//! Long texts that others wrote: errors, names of buckets, the lock.

use redis::Commands;

use super::{holds, started};
use crate::harness::{LOCK, Program, Redis, item};

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

    // A bucket of the wrong type, and a queue.
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
        .status("buckets that can't be moved: 1")
        .status("queues that refuse delayed jobs: 1");
    let log = scheduler.log();
    assert!(log.contains("(cut, "));
    let longest = log.lines().map(str::len).max();
    assert!(longest < Some(3_000), "a line of {longest:?} bytes");
}

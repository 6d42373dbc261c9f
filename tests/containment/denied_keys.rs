//! Keys other than queues that the Redis user may not use.

use redis::Commands;

use super::{holds, quarantined, started};
use crate::harness::{
    Program, QUARANTINE, Redis, eventually, item,
    ticks::{EACH_SECOND, goes_on_without_a_gap, wait_for_fires},
};

/// The keys that the scheduler needs, without those of workers and the quarantine.
const OTHERS: &str = "~resque:queue* ~resque:delayed* ~resque:timestamps:* ~resque:resque:* \
    ~resque:rescue_scheduler:[tfshawe]*";

/// Lets a user use these keys and [`OTHERS`]. Returns the user's URL.
fn user(redis: &mut Redis, keys: &str) -> String {
    redis.command(&format!(
        "ACL SETUSER few on >pw +@all resetkeys {OTHERS}{keys}"
    ));
    format!("{}?user=few&pass=pw", redis.url())
}

#[test]
fn if_workers_may_not_be_read_only_fires_with_skip_if_running_are_rejected() {
    let mut redis = Redis::start();
    let url = user(&mut redis, "");
    let guarded = |name| {
        format!(
            "\n[schedule.{name}]\nevery = '1s'\nqueue = '{name}'\noverlap = 'skip_if_running'\n"
        )
    };
    // Both fires are in one call. Each of them must find out by itself.
    let guarded = guarded("one") + &guarded("other");
    let scheduler = Program::new()
        .args(["--redis-url", &url])
        .schedule(&format!("{EACH_SECOND}{guarded}"))
        .start();
    wait_for_fires(&mut redis, &scheduler, 3);
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    scheduler
        .wait_for("queue rejects the job; retrying entry=\"one\"")
        .wait_for("queue rejects the job; retrying entry=\"other\"")
        .wait_for("the Redis user may not read `resque:workers`")
        .status("entries whose queue rejects their job: 2");
    assert_eq!(redis.queue("one").len() + redis.queue("other").len(), 0);
    let log = scheduler.log();
    assert!(!log.contains("cannot use Redis"), "{log}");

    redis.command("ACL SETUSER few ~resque:workers");
    eventually(
        || match (redis.queue("one").len(), redis.queue("other").len()) {
            (1, 1) => Ok(()),
            other => Err(format!("{other:?}\n{}", scheduler.log())),
        },
    );
    scheduler.status(" healthy");
}

#[test]
fn a_quarantine_that_may_not_be_written_keeps_only_bad_jobs_in_their_buckets() {
    let mut redis = Redis::start();
    let url = user(&mut redis, "");
    redis.delay(1_000, "garbage");
    for number in 0..100 {
        redis.delay(1_000 + i64::from(number >= 50), item("q", number));
    }
    let scheduler = started(&mut redis, &url, []);

    holds(&mut redis, &scheduler, "q", 100);
    scheduler
        .wait_for("bucket is stuck; leaving it in place bucket=\"delayed:1000\"")
        .wait_for("the Redis user may not write `resque:rescue_scheduler:quarantine`")
        .status("buckets that cannot be moved: 1, the first is delayed:1000");
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    let log = scheduler.log();
    assert!(!log.contains("cannot use Redis"), "{log}");
    let kept: Vec<String> = redis
        .connection
        .lrange("resque:delayed:1000", 0, -1)
        .unwrap();
    assert_eq!(kept, ["garbage"]);

    redis.command(&format!("ACL SETUSER few ~{QUARANTINE}"));
    quarantined(&mut redis, &scheduler, 1);
    scheduler.status(" healthy");
}

#[test]
fn a_list_for_large_items_that_may_not_be_written_stops_only_their_buckets() {
    let mut redis = Redis::start();
    let url = user(&mut redis, &format!(" ~{QUARANTINE}"));
    redis.delay(1_000, vec![b'x'; 2_000]);
    for number in 0..100 {
        redis.delay(1_001, item("q", number));
    }
    let scheduler = started(&mut redis, &url, ["--max-item-size", "1k"]);

    holds(&mut redis, &scheduler, "q", 100);
    scheduler
        .wait_for("bucket is stuck; leaving it in place bucket=\"delayed:1000\"")
        .wait_for("the Redis user may not write `resque:rescue_scheduler:quarantine:delayed:1000`")
        .status("buckets that cannot be moved: 1, the first is delayed:1000");
    let log = scheduler.log();
    assert!(!log.contains("cannot use Redis"), "{log}");
    let records: usize = redis.connection.llen(QUARANTINE).unwrap();
    assert_eq!(records, 0);

    redis.command(&format!("ACL SETUSER few ~{QUARANTINE}:*"));
    quarantined(&mut redis, &scheduler, 1);
    // The bucket is tried again only every ten seconds, because Redis takes long to return the item's size.
    scheduler.status(" healthy");
}

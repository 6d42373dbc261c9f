//! Queues that the Redis user may not write.

use redis::Commands;

use super::{holds, started};
use crate::harness::{
    Program, QUARANTINE, Redis, item, payload,
    ticks::{EACH_SECOND, goes_on_without_a_gap, wait_for_fires},
};

/// Creates a user that may write all queues except those whose name starts with `secret`. Returns the user's URL.
pub fn user(redis: &mut Redis) -> String {
    let keys = "~resque:queues ~resque:queue:[qto]* ~resque:delayed* ~resque:timestamps:*";
    let ours = "~resque:rescue_scheduler:* ~resque:resque:*";
    redis.command(&format!(
        "ACL SETUSER few on >pw +@all resetkeys {keys} {ours}"
    ));
    format!("{}?user=few&pass=pw", redis.url())
}

#[test]
fn a_queue_that_may_not_be_written_stops_only_its_own_fires() {
    let mut redis = Redis::start();
    let url = user(&mut redis);
    let secret = "\n[schedule.secret]\nevery = '1s'\nqueue = 'secret'\n";
    let scheduler = Program::new()
        .args(["--redis-url", &url])
        .schedule(&format!("{EACH_SECOND}{secret}"))
        .start();
    wait_for_fires(&mut redis, &scheduler, 3);
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    scheduler
        .wait_for("queue rejects the job; retrying entry=\"secret\" queue=\"secret\"")
        .wait_for("may not write `resque:queue:secret`")
        .status("unhealthy leading=true problems=\"entries whose queue rejects their job: 1, the first is secret");
    let log = scheduler.log();
    assert_eq!(log.matches("rejects the job").count(), 1, "{log}");
    assert!(!log.contains("cannot use Redis"), "{log}");

    redis.command("ACL SETUSER few ~resque:queue:*");
    crate::harness::eventually(|| match redis.queue("secret").len() {
        0 => Err(scheduler.log()),
        _ => Ok(()),
    });
    scheduler.status(" healthy");
}

#[test]
fn a_queue_that_may_not_be_written_stops_only_the_buckets_of_its_jobs() {
    let mut redis = Redis::start();
    let url = user(&mut redis);
    for number in 0..1_000 {
        redis.delay(1_000, item(["q", "other"][number % 2], number / 2));
    }
    // Denied jobs at the head of a bucket, alone in a bucket, and behind other jobs.
    redis.delay(999, item("secret", 0));
    redis.delay(999, item("q_behind", 0));
    redis.delay(2_000, item("secret", 1));
    redis.delay(3_000, item("q_before", 0));
    redis.delay(3_000, item("secret_too", 0));
    for number in 1_000..2_000 {
        redis.delay(4_000, item(["q", "other"][number % 2], number / 2));
    }
    let scheduler = started(&mut redis, &url, []);

    holds(&mut redis, &scheduler, "q", 1_000);
    holds(&mut redis, &scheduler, "other", 1_000);
    holds(&mut redis, &scheduler, "q_before", 1);
    for bucket in ["999", "2000", "3000"] {
        scheduler.wait_for(&format!(
            "bucket is stuck; leaving it in place bucket=\"delayed:{bucket}\""
        ));
    }
    scheduler
        .wait_for("may not write `resque:queue:secret`")
        .wait_for("may not write `resque:queue:secret_too`")
        .status("buckets that cannot be moved: 3, the first is delayed:999");
    let log = scheduler.log();
    assert_eq!(log.matches("bucket is stuck").count(), 3, "{log}");
    assert!(!log.contains("cannot use Redis"), "{log}");
    let kept: usize = redis.connection.llen(QUARANTINE).unwrap();
    assert_eq!(kept, 0, "{log}");

    // All jobs are still there.
    redis.command("ACL SETUSER few ~resque:queue:*");
    holds(&mut redis, &scheduler, "secret", 2);
    holds(&mut redis, &scheduler, "q_behind", 1);
    assert_eq!(redis.queue("secret_too"), [payload(0)]);
    scheduler.status(" healthy");
}

#[test]
fn a_denied_key_that_is_not_a_queue_is_an_outage() {
    let mut redis = Redis::start();
    let url = user(&mut redis);
    redis.command(
        "ACL SETUSER few resetkeys ~resque:queue:* ~resque:resque:* ~resque:rescue_scheduler:*",
    );
    redis.delay(1_000, item("q", 0));
    let scheduler = Program::new().args(["--redis-url", &url]).start();
    scheduler
        .wait_for("denies a command or a key to this user")
        .status("unhealthy");
    redis.command("ACL SETUSER few ~resque:*");
    holds(&mut redis, &scheduler, "q", 1);
}

//! Very many buckets that cannot be moved.

use std::{thread, time::Duration};

use super::{holds, started};
use crate::harness::{Redis, item, now, proxy::Proxy, ticks::goes_on_without_a_gap};

const MANY: usize = 100_000;

/// Fills Redis with due buckets that are strings instead of lists.
const FILL: &str = r#"
for bucket = 1, tonumber(ARGV[1]) do
  redis.call("SET", "resque:delayed:" .. bucket, "x")
  redis.call("ZADD", "resque:delayed_queue_schedule", bucket, bucket)
end
"#;

/// Waits until there has been little traffic for two seconds.
fn wait_until_looked_again(network: &Proxy) {
    let (mut quiet, begun) = (0, now());
    while quiet < 2 {
        thread::sleep(Duration::from_secs(1));
        let little = network.traffic().received < 10_000;
        quiet = if little { quiet + 1 } else { 0 };
        assert!(begun.elapsed() < Duration::from_secs(60), "never quiet");
    }
}

#[test]
fn a_hundred_thousand_stuck_buckets_are_not_sent_again_every_second() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let fill = redis::Script::new(FILL);
    let () = fill.arg(MANY).invoke(&mut redis.connection).unwrap();
    let scheduler = started(&mut redis, &network.url(), ["--quiet"]);
    let trouble = format!("buckets that cannot be moved: {MANY}");
    scheduler.status(&trouble);
    // All buckets are tried again right after the first attempt.
    wait_until_looked_again(&network);

    network.traffic();
    let before = redis.commands_processed();
    for second in 0..10 {
        if second % 5 == 0 {
            let number = usize::try_from(second).unwrap() / 5;
            redis.delay(2_000_000 + second, item("q", number));
        }
        thread::sleep(Duration::from_secs(1));
    }
    let commands = redis.commands_processed() - before;
    let traffic = network.traffic();
    println!("{commands} commands, {traffic:?}");

    holds(&mut redis, &scheduler, "q", 2);
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    scheduler.status(&trouble);
    assert!(
        traffic.sent < MANY && traffic.received < MANY,
        "{traffic:?}"
    );
    assert!(commands < 1_000, "{commands} commands in ten seconds");
}

#[test]
fn a_job_that_comes_before_the_last_stuck_bucket_is_moved_within_seconds() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let fill = redis::Script::new(FILL);
    let () = fill.arg(MANY).invoke(&mut redis.connection).unwrap();
    let scheduler = started(&mut redis, &network.url(), ["--quiet"]);
    scheduler.status(&format!("buckets that cannot be moved: {MANY}"));
    // All buckets are tried again right after the first attempt. The next attempt is a hundred seconds later.
    wait_until_looked_again(&network);
    network.traffic();
    // Each bucket is between two stuck ones, or before all of them.
    for (number, bucket) in ["99990.5", "50000.5", "0.5"].into_iter().enumerate() {
        let key = format!("resque:delayed:{bucket}");
        let mut put = redis::pipe();
        put.rpush(key, item("q", number)).ignore();
        put.zadd("resque:delayed_queue_schedule", bucket, bucket)
            .ignore();
        put.exec(&mut redis.connection).unwrap();
        let put = now();
        holds(&mut redis, &scheduler, "q", number + 1);
        let taken = put.elapsed();
        println!("moved after {taken:?}");
        assert!(taken < Duration::from_secs(10), "{taken:?}");
    }
    let traffic = network.traffic();
    println!("{traffic:?}");
    scheduler.status(&format!("buckets that cannot be moved: {MANY}"));
}

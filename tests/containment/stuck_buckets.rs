//! Very many buckets that cannot be moved.

use std::{thread, time::Duration};

use super::{holds, started};
use crate::harness::{Redis, item, proxy::Proxy, ticks::goes_on_without_a_gap};

const MANY: usize = 100_000;

/// Fills Redis with buckets that are strings, all of them due.
const FILL: &str = r#"
for bucket = 1, tonumber(ARGV[1]) do
  redis.call("SET", "resque:delayed:" .. bucket, "x")
  redis.call("ZADD", "resque:delayed_queue_schedule", bucket, bucket)
end
"#;

#[test]
fn a_hundred_thousand_stuck_buckets_are_not_sent_again_every_second() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let fill = redis::Script::new(FILL);
    let () = fill.arg(MANY).invoke(&mut redis.connection).unwrap();
    let scheduler = started(&mut redis, &network.url(), ["--quiet"]);
    let trouble = format!("buckets that can't be moved: {MANY}");
    scheduler.status(&trouble);
    // A look at all of them again, right after the first one.
    thread::sleep(Duration::from_secs(3));

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

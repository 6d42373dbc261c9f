//! Very many buckets that cannot be moved.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::{holds, started};
use crate::harness::{Redis, item, now, proxy::Proxy, ticks::goes_on_without_a_gap};

const MANY: usize = 100_000;

/// Fills Redis with buckets that are strings, all of them due.
const FILL: &str = r#"
for bucket = 1, tonumber(ARGV[1]) do
  redis.call("SET", "resque:delayed:" .. bucket, "x")
  redis.call("ZADD", "resque:delayed_queue_schedule", bucket, bucket)
end
"#;

/// The longest time that another client waits for an answer until `stop` is set.
fn longest_wait(mut other: redis::Connection, stop: &AtomicBool) -> Duration {
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::SeqCst) {
        let asked = now();
        let () = redis::cmd("PING").exec(&mut other).unwrap();
        longest = longest.max(asked.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    longest
}

/// How long Redis has worked, in seconds.
fn worked(redis: &mut Redis) -> f64 {
    let info: String = redis::cmd("INFO")
        .arg("cpu")
        .query(&mut redis.connection)
        .unwrap();
    let seconds = |name: &str| -> f64 {
        let line = info.lines().find_map(|it| it.strip_prefix(name));
        line.unwrap().parse().unwrap()
    };
    seconds("used_cpu_user:") + seconds("used_cpu_sys:")
}

#[test]
fn a_hundred_thousand_stuck_buckets_cost_nearly_nothing_and_delay_nobody() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let fill = redis::Script::new(FILL);
    let () = fill.arg(MANY).invoke(&mut redis.connection).unwrap();
    let stop = AtomicBool::new(false);
    let longest = thread::scope(|scope| {
        let other = redis.connect();
        let asking = scope.spawn(|| longest_wait(other, &stop));
        let scheduler = started(&mut redis, &network.url(), ["--quiet"]);
        let trouble = format!("buckets that can't be moved: {MANY}");
        scheduler.status(&trouble);
        // A look at all of them again, right after the first one.
        thread::sleep(Duration::from_secs(3));

        let before = worked(&mut redis);
        network.traffic();
        for second in 0..20 {
            if second % 5 == 0 {
                let number = usize::try_from(second).unwrap() / 5;
                redis.delay(2_000_000 + second, item("q", number));
            }
            thread::sleep(Duration::from_secs(1));
        }
        let used = worked(&mut redis) - before;
        let traffic = network.traffic();
        println!("{:.1}% of Redis' time, {traffic:?}", used * 100.0 / 20.0);

        holds(&mut redis, &scheduler, "q", 4);
        goes_on_without_a_gap(&mut redis, &scheduler, 2);
        scheduler.status(&trouble);
        stop.store(true, Ordering::SeqCst);
        assert!(used < 0.8, "{used} s of 20 s");
        assert!(
            traffic.sent < MANY && traffic.received < MANY,
            "{traffic:?}"
        );
        asking.join().unwrap()
    });
    println!("another client waited for {longest:?}");
    assert!(longest < Duration::from_millis(100), "{longest:?}");
}

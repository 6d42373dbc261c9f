//! Replies that take longer than the timeout, because they are large and the network is slow.

use std::time::Duration;

use redis::Commands;

use crate::harness::{
    Program, Redis, Scheduler, eventually, item, now, payload,
    proxy::Proxy,
    ticks::{EACH_SECOND, fire_times, goes_on_without_a_gap, wait_for_fires},
};

const MEGABYTE: usize = 1_000_000;

/// A delayed item of so many bytes for the queue `large`.
fn large_item(bytes: usize) -> String {
    let text = "x".repeat(bytes);
    format!(r#"{{"class":"Large","args":["{text}"],"queue":"large"}}"#)
}

fn started<const N: usize>(redis: &mut Redis, network: &Proxy, flags: [&str; N]) -> Scheduler {
    let url = network.url();
    let program = Program::new().args(["--redis-url", &url, "--lease", "5s"]);
    let scheduler = program.args(flags).schedule(EACH_SECOND).start();
    wait_for_fires(redis, &scheduler, 1);
    scheduler
}

/// Waits until the queue `q` holds so many jobs, in order.
#[track_caller]
fn q_holds(redis: &mut Redis, scheduler: &Scheduler, jobs: usize) {
    let expected: Vec<String> = (0..jobs).map(payload).collect();
    eventually(|| match redis.queue("q") {
        queue if queue.len() < jobs => {
            Err(format!("{} of {jobs}\n{}", queue.len(), scheduler.log()))
        }
        queue => {
            assert!(queue == expected, "lost, doubled or out of order");
            Ok(())
        }
    });
}

#[test]
fn a_reply_may_take_longer_than_the_timeout_as_long_as_bytes_arrive() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let scheduler = started(&mut redis, &network, []);
    network.limit(5 * MEGABYTE);
    redis.delay(1_000, large_item(15 * MEGABYTE));
    for number in 0..1_000 {
        redis.delay(2_000, item("q", number));
    }
    q_holds(&mut redis, &scheduler, 1_000);
    let large: usize = redis.connection.llen("resque:queue:large").unwrap();
    assert_eq!(large, 1);
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    let log = scheduler.log();
    assert!(!log.contains("cannot use Redis"), "{log}");
    assert!(!log.contains("not leading any more"), "{log}");
}

#[test]
fn fires_go_on_while_16_mb_of_dynamic_entries_change() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let scheduler = started(&mut redis, &network, ["--dynamic"]);
    network.limit(5 * MEGABYTE);
    let text = "x".repeat(16_000);
    let entry = format!(r#"{{"class":"C","queue":"q","every":"1h","args":["{text}"]}}"#);
    let mut set = redis::pipe();
    for number in 0..1_000 {
        set.hset("resque:persistent_schedules", number, &entry)
            .ignore();
    }
    set.sadd("resque:schedules_changed", 0);
    let () = set.query(&mut redis.connection).unwrap();
    let fired = fire_times(&mut redis).len();
    let started = now();
    scheduler.wait_for("dynamic entries changed");
    println!("read in {:?}", started.elapsed());
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    assert!(fire_times(&mut redis).len() > fired);
    let log = scheduler.log();
    assert!(!log.contains("cannot use Redis"), "{log}");
    scheduler.status(" healthy");
}

#[test]
fn a_server_that_falls_silent_within_a_reply_is_given_up_after_2_seconds() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let scheduler = started(&mut redis, &network, []);
    network.limit(MEGABYTE);
    redis.delay(1_000, large_item(10 * MEGABYTE));
    std::thread::sleep(Duration::from_secs(4));
    assert!(
        !scheduler.log().contains("cannot use Redis"),
        "{}",
        scheduler.log()
    );
    let silent_since = now();
    network.silence();
    scheduler.wait_for("timed out");
    let taken = silent_since.elapsed();
    println!("given up after {taken:?}");
    assert!(taken < Duration::from_millis(3_500), "{taken:?}");
    network.limit(0);
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
}

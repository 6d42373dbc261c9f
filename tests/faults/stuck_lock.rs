//! A lock without a TTL, which a crash between `SETNX` and `EXPIRE` can leave behind.

use redis::Commands;

use crate::harness::{
    LOCK, Program, Redis, Scheduler, eventually, now,
    ticks::{EACH_SECOND, wait_for_fires},
};

fn start(redis: &Redis) -> Scheduler {
    Program::on(redis)
        .args(["--lease", "2s"])
        .schedule(EACH_SECOND)
        .start()
}

#[test]
fn a_lock_without_a_ttl_is_logged_at_once_and_taken_over_after_a_lease() {
    let mut redis = Redis::start();
    let () = redis.connection.set(LOCK, "dead-host:1").unwrap();
    let started = now();
    let ours = start(&redis);
    ours.wait_for("WARN").wait_for(
        "the leader's lock has no TTL; taking over if it stays unchanged for one lease \
         leader=\"dead-host:1\" lock=\"resque:resque:resque_scheduler_master_lock\" lease_s=2",
    );
    ours.wait_for("became the leader holder=");
    assert!(
        started.elapsed() >= std::time::Duration::from_secs(2),
        "{}",
        ours.log()
    );
    assert_eq!(
        ours.log().matches("has no TTL").count(),
        1,
        "{}",
        ours.log()
    );
    wait_for_fires(&mut redis, &ours, 1);
    let ttl: i64 = redis.connection.pttl(LOCK).unwrap();
    assert!((1..=2000).contains(&ttl), "{ttl}");
}

#[test]
fn a_lock_that_gets_a_ttl_is_not_taken_over() {
    let mut redis = Redis::start();
    let () = redis.connection.set(LOCK, "ruby-host:1").unwrap();
    let ours = start(&redis);
    ours.wait_for("has no TTL");
    // Its owner was between its two commands.
    let () = redis.connection.expire(LOCK, 180).unwrap();
    // Longer than a lease and two checks.
    std::thread::sleep(std::time::Duration::from_millis(4500));
    let holder: String = redis.connection.get(LOCK).unwrap();
    assert_eq!(holder, "ruby-host:1", "{}", ours.log());
}

#[test]
fn only_one_of_several_followers_takes_over_the_lock() {
    let mut redis = Redis::start();
    let () = redis.connection.set(LOCK, "dead-host:1").unwrap();
    let schedulers = [start(&redis), start(&redis), start(&redis)];
    let leads = |it: &&Scheduler| it.log().contains("became the leader holder=");
    eventually(|| match schedulers.iter().find(leads) {
        Some(_) => Ok(()),
        None => Err("none leads"),
    });
    // By then, all of them have checked once more.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(schedulers.iter().filter(leads).count(), 1);
}

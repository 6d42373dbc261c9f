//! One scheduler is the leader; the others wait and take over.

use nix::sys::signal::Signal;
use redis::Commands;

use crate::harness::{LOCK, Program, Redis, eventually, now};

#[test]
fn a_stop_releases_the_lease_and_a_follower_takes_over_at_once() {
    let mut redis = Redis::start();
    let mut first = Program::on(&redis).args(["--lease", "60s"]).start();
    first.wait_for("became the leader holder=");
    let second = Program::on(&redis).args(["--lease", "60s"]).start();
    second.wait_for(&format!("following leader=\"{}\"", first.holder()));

    first.signal(Signal::SIGTERM);
    assert_eq!(first.ended().code(), Some(0), "{}", first.log());
    assert!(first.log().contains("lease released"), "{}", first.log());
    second.wait_for("became the leader holder=");
    let holder: String = redis.connection.get(LOCK).unwrap();
    assert_eq!(holder, second.holder());

    drop(second);
    let ttl: i64 = redis.connection.pttl(LOCK).unwrap();
    assert!(
        (1..=60_000).contains(&ttl),
        "a killed leader's lease ends by itself: {ttl}"
    );
}

#[test]
fn a_stop_without_followers_leaves_no_lock() {
    let mut redis = Redis::start();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let mut scheduler = Program::on(&redis).start();
        scheduler.wait_for("became the leader holder=");
        scheduler.signal(signal);
        assert_eq!(scheduler.ended().code(), Some(0), "{}", scheduler.log());
        let held: bool = redis.connection.exists(LOCK).unwrap();
        assert!(!held, "{}", scheduler.log());
    }
}

#[test]
fn a_killed_leader_is_replaced_when_its_lease_ends() {
    let redis = Redis::start();
    let first = Program::on(&redis).args(["--lease", "1s"]).start();
    first.wait_for("became the leader holder=");
    let second = Program::on(&redis).args(["--lease", "1s"]).start();
    second.wait_for("following");
    drop(first);
    second.wait_for("became the leader holder=");
}

#[test]
fn a_scheduler_waits_while_a_ruby_scheduler_is_the_leader() {
    let mut redis = Redis::start();
    let () = redis
        .connection
        .pset_ex(LOCK, "ruby-host:1", 60_000)
        .unwrap();
    let ours = Program::on(&redis).start();
    ours.wait_for(
        "following leader=\"ruby-host:1\" lock=\"resque:resque:resque_scheduler_master_lock\"",
    );
    let () = redis.connection.del(LOCK).unwrap();
    ours.wait_for("became the leader holder=");
}

#[test]
fn the_lock_prefix_is_part_of_the_key() {
    let mut redis = Redis::start();
    let ours = Program::on(&redis)
        .env("RESQUE_SCHEDULER_MASTER_LOCK_PREFIX", "blue")
        .start();
    ours.wait_for("became the leader holder=");
    let holder: String = redis
        .connection
        .get("resque:resque:blue:resque_scheduler_master_lock")
        .unwrap();
    assert_eq!(holder, ours.holder());
}

#[test]
fn once_waits_for_the_lease_and_then_names_the_leader() {
    let mut redis = Redis::start();
    let () = redis
        .connection
        .pset_ex(LOCK, "other-host:7", 60_000)
        .unwrap();
    let finished = Program::on(&redis).args(["--once", "--lease", "1s"]).run();
    assert_eq!(finished.status.code(), Some(1));
    assert!(
        finished.log.contains("leader=\"other-host:7\""),
        "{}",
        finished.log
    );
    assert!(
        finished.log.contains("another scheduler is the leader"),
        "{}",
        finished.log
    );
}

#[test]
fn a_stop_does_not_wait_for_a_redis_that_hangs() {
    let redis = Redis::start();
    let schedule = "[schedule.t]\nevery = \"1s\"\nqueue = \"q\"\n";
    let mut scheduler = Program::on(&redis)
        .args(["--lease", "1s"])
        .schedule(schedule)
        .start();
    scheduler.wait_for("fired entry=");
    redis.signal(Signal::SIGSTOP);
    scheduler.wait_for("cannot use Redis");
    let asked = now();
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(scheduler.ended().code(), Some(0), "{}", scheduler.log());
    let taken = asked.elapsed();
    redis.signal(Signal::SIGCONT);
    // A stop may take 850 ms. Without that limit it would take the timeouts of 4 s.
    assert!(
        taken < std::time::Duration::from_secs(2),
        "{taken:?}\n{}",
        scheduler.log()
    );
}

#[test]
fn a_lease_is_renewed_in_time() {
    let redis = Redis::start();
    let scheduler = Program::on(&redis)
        .args(["--lease", "1s", "--verbose"])
        .start();
    eventually(|| match scheduler.log() {
        log if log.matches("lease renewed").count() >= 6 => Ok(()),
        log => Err(log),
    });
    assert!(
        !scheduler.log().contains("no longer the leader"),
        "{}",
        scheduler.log()
    );
}

#[test]
fn once_can_be_stopped_and_leaves_nothing_behind() {
    let mut redis = Redis::start();
    let () = redis.connection.set(LOCK, "other-host:7").unwrap();
    let program = Program::on(&redis).args(["--once", "--lease", "60s", "--pidfile", "pid"]);
    let mut scheduler = program.start();
    scheduler.wait_for("leader=\"other-host:7\"");
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(scheduler.ended().code(), Some(1));
    assert!(
        scheduler
            .log()
            .contains("stopped before everything was done"),
        "{}",
        scheduler.log()
    );
    assert!(!scheduler.program.path("pid").exists());
}

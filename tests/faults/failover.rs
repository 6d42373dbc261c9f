//! The leader is gone, or wrongly believes to be the leader.

use std::time::Duration;

use nix::sys::signal::Signal;
use redis::Commands;

use crate::harness::{
    LOCK, Program, Redis, Scheduler, argument, eventually, now,
    proxy::Proxy,
    ticks::{EACH_SECOND, assert_gapless, fire_times, goes_on_without_a_gap, wait_for_fires},
};

fn start(url: &str, lease: &str) -> Scheduler {
    Program::new()
        .args(["--redis-url", url, "--lease", lease])
        .schedule(EACH_SECOND)
        .start()
}

/// Waits until one of `schedulers` holds the lock. Returns its index.
fn leader(redis: &mut Redis, schedulers: &[Scheduler]) -> usize {
    eventually(|| {
        let holder: Option<String> = redis.connection.get(LOCK).unwrap();
        let leads = |it: &Scheduler| Some(it.holder()) == holder;
        schedulers.iter().position(leads).ok_or("none leads")
    })
}

#[test]
fn leader_killed() {
    const LEASE: Duration = Duration::from_secs(2);
    let mut redis = Redis::start();
    let mut schedulers: Vec<Scheduler> = (0..3).map(|_| start(redis.url(), "2s")).collect();
    let first = leader(&mut redis, &schedulers);
    wait_for_fires(&mut redis, &schedulers[first], 1);

    drop(schedulers.remove(first));
    let killed = now();
    let second = leader(&mut redis, &schedulers);
    let silent = killed.elapsed();
    println!("no leader for {silent:?}");
    // The scheduler guarantees a lease and a second. The rest is for a slow machine.
    assert!(silent < LEASE + Duration::from_millis(1500), "{silent:?}");
    goes_on_without_a_gap(&mut redis, &schedulers[second], 2);
}

#[test]
fn leader_stopped_longer_than_its_lease_notices_before_it_acts() {
    let mut redis = Redis::start();
    let first = start(redis.url(), "1s");
    first.wait_for("became the leader holder=");
    let second = start(redis.url(), "1s");
    second.wait_for("following");
    // Wait until it has the reply, so that it logs nothing about this fire later.
    first.wait_for("fired entry=");

    first.signal(Signal::SIGSTOP);
    second
        .wait_for("became the leader holder=")
        .wait_for("fired entry=");
    let fired_before = first.log().matches("fired entry=").count();
    first.signal(Signal::SIGCONT);
    first
        .wait_for("no longer the leader")
        .wait_for(&format!("following leader=\"{}\"", second.holder()));
    let fired_after = first.log().matches("fired entry=").count();
    assert_eq!(fired_before, fired_after, "{}", first.log());
    goes_on_without_a_gap(&mut redis, &second, 2);
}

#[test]
fn leader_cut_off() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let first = start(&network.url(), "2s");
    first.wait_for("became the leader holder=");
    let second = start(redis.url(), "2s");
    second.wait_for("following");
    wait_for_fires(&mut redis, &first, 1);

    network.isolate(true);
    second
        .wait_for("became the leader holder=")
        .wait_for("fired entry=");
    first.wait_for("no longer the leader");
    network.isolate(false);
    first
        .wait_for(&format!("following leader=\"{}\"", second.holder()))
        .wait_for("Redis is back")
        .status(" healthy leading=false");
    goes_on_without_a_gap(&mut redis, &second, 2);
}

#[test]
fn clean_stop_hands_over_within_100_ms() {
    let mut redis = Redis::start();
    let mut leads = start(redis.url(), "60s");
    leads.wait_for("became the leader holder=");
    let mut taken = vec![];
    for _ in 0..5 {
        let follows = start(redis.url(), "60s");
        follows.wait_for("following");
        leads.signal(Signal::SIGTERM);
        let stopped = now();
        let successor = Some(follows.holder());
        while redis.connection.get::<_, Option<String>>(LOCK).unwrap() != successor {
            assert!(
                stopped.elapsed() < crate::harness::PATIENCE,
                "{}",
                follows.log()
            );
        }
        taken.push(stopped.elapsed());
        assert_eq!(leads.ended().code(), Some(0), "{}", leads.log());
        leads = follows;
    }
    taken.sort_unstable();
    println!("handed over after {taken:?}");
    assert!(taken[2] < Duration::from_millis(100), "{taken:?}");
    goes_on_without_a_gap(&mut redis, &leads, 2);
}

/// `make failover` runs this for three minutes with the default lease.
#[test]
fn three_schedulers_whose_leader_is_killed_again_and_again() {
    let seconds = argument("FAILOVER_SECONDS", 16);
    let each = Duration::from_secs(argument("FAILOVER_KILL_EACH", 4));
    let lease = format!("{}s", argument("FAILOVER_LEASE", 2));
    let mut redis = Redis::start();
    let mut schedulers: Vec<Scheduler> = (0..3).map(|_| start(redis.url(), &lease)).collect();
    let first = leader(&mut redis, &schedulers);
    wait_for_fires(&mut redis, &schedulers[first], 1);

    let (started, mut kills) = (now(), 0);
    while started.elapsed() < Duration::from_secs(seconds) {
        let due = each * (kills + 1);
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        let leads = leader(&mut redis, &schedulers);
        let killed = schedulers.remove(leads);
        schedulers.push(killed.restart());
        kills += 1;
    }
    let last = leader(&mut redis, &schedulers);
    goes_on_without_a_gap(&mut redis, &schedulers[last], 3);
    let fires = fire_times(&mut redis);
    assert_gapless(&fires);
    let seconds = fires[fires.len() - 1] - fires[0] + 1;
    println!(
        "{kills} leaders killed: {} of {seconds} seconds, each once",
        fires.len()
    );
}

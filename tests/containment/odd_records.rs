//! Records of entries that Redis has lost, or that someone else wrote.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::Signal;
use redis::Commands as _;
use rescue_scheduler::{
    clock::StoppedClock,
    core::time::zone::Zone,
    engine::recurring::Recurring,
    events::Events,
    store::{Limits, RedisStore, Store as _},
};

use crate::{
    harness::{
        Program, Redis, Scheduler,
        ticks::{EACH_SECOND, fire_times, goes_on_without_a_gap, wait_for_fires},
    },
    store::{leader, schedule},
};

const FIRED: &str = "resque:rescue_scheduler:fired";
const LOST: &str = "Redis lost the last fire times of entries";

/// Removes the fence, as Redis does when it evicts the key.
fn evict(redis: &mut Redis) {
    let () = redis.connection.del(FIRED).unwrap();
}

/// Returns a scheduler that is the leader, catches up all missed fires, and has fired.
fn catching_up(redis: &mut Redis) -> Scheduler {
    let scheduler = Program::on(redis).schedule(EACH_SECOND).start();
    wait_for_fires(redis, &scheduler, 3);
    scheduler
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn engine(store: &RedisStore) -> Recurring<RedisStore> {
    Recurring::new(
        store.with_own_connection(),
        Arc::new(StoppedClock(at(0))),
        Zone::UTC,
        Events::default(),
    )
}

#[track_caller]
fn assert_not_doubled(redis: &mut Redis) {
    let fires = fire_times(redis);
    let distinct: BTreeSet<_> = fires.iter().collect();
    assert_eq!(distinct.len(), fires.len(), "{fires:?}");
}

#[test]
fn a_leader_whose_fence_is_evicted_doubles_no_fire_and_logs_a_warning() {
    let mut redis = Redis::start();
    let scheduler = catching_up(&mut redis);
    evict(&mut redis);
    redis.command("CLIENT KILL TYPE normal SKIPME yes");
    scheduler.wait_for(LOST).status("unhealthy");
    goes_on_without_a_gap(&mut redis, &scheduler, 3);
    assert_not_doubled(&mut redis);
}

#[test]
fn a_restart_without_the_fence_doubles_no_fire_and_logs_a_warning() {
    let mut redis = Redis::start();
    let mut scheduler = catching_up(&mut redis);
    scheduler.signal(Signal::SIGTERM);
    scheduler.ended();
    evict(&mut redis);
    scheduler.start_again();
    scheduler.wait_for(LOST).status("unhealthy").status(
        "Redis lost records of entries in `resque:rescue_scheduler:fired`: 1, the first is tick",
    );
    goes_on_without_a_gap(&mut redis, &scheduler, 3);
    assert_not_doubled(&mut redis);
}

#[tokio::test]
async fn without_the_fence_a_stamped_fire_is_rejected() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let entry = schedule("[schedule.e]\nevery = '1s'\nqueue = 'q'\n");
    // Both engines believe to be the leader.
    for mut engine in [engine(&store), engine(&store)] {
        engine.take_up(&entry, at(100_000)).await.unwrap();
        engine.tick(at(100_001)).await.unwrap();
        engine.tick(at(100_001)).await.unwrap();
        evict(&mut redis);
    }
    assert_eq!(redis.queue("q").len(), 1);
}

#[test]
fn records_with_malformed_numbers_are_ignored() {
    const VALUES: [&str; 8] = [
        "0x7fffffff",
        "1999999999.5",
        "1999999999 ",
        " 1999999999",
        "1.9e9",
        "nan",
        "+1999999999",
        "00001999999999",
    ];
    let mut redis = Redis::start();
    let entry =
        |number: usize| format!("[schedule.e{number}]\nevery = '1s'\nqueue = 'q{number}'\n");
    let entries: String = (0..VALUES.len()).map(entry).collect();
    for (number, value) in VALUES.iter().enumerate() {
        let () = redis
            .connection
            .hset(FIRED, format!("e{number}"), value)
            .unwrap();
    }
    let scheduler = Program::on(&redis).schedule(&entries).start();
    for number in 0..VALUES.len() {
        scheduler.wait_for(&format!("fired entry=\"e{number}\""));
    }
    scheduler.wait_for("resque:rescue_scheduler:fired e0");
}

#[tokio::test]
async fn an_invalid_number_of_fires_counts_as_zero() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let values = ["nan", "-5", "1.5", "0x1", "4294967296"];
    let entry =
        |it: &str| format!("[schedule.\"{it}\"]\nevery = '1s'\ntimes = 2\nqueue = '{it}'\n");
    let entries = schedule(&values.map(entry).concat());
    let mut first = engine(&store);
    first.take_up(&entries, at(100_000)).await.unwrap();
    for value in values {
        let key = "resque:rescue_scheduler:fires";
        let () = redis.connection.hset(key, value, value).unwrap();
    }
    for now in 100_001..100_004 {
        first.tick(at(now)).await.unwrap();
    }
    let mut second = engine(&store);
    for now in 100_004..100_008 {
        second.take_up(&entries, at(now)).await.unwrap();
        second.tick(at(now)).await.unwrap();
    }
    let counts = values.map(|it| redis.queue(it).len());
    assert_eq!(counts, [2; 5]);
}

#[test]
fn a_last_fire_that_someone_sets_far_ahead_under_a_leader_is_a_problem() {
    let mut redis = Redis::start();
    let scheduler = Program::on(&redis).schedule(EACH_SECOND).start();
    wait_for_fires(&mut redis, &scheduler, 1);
    let () = redis
        .connection
        .hset(FIRED, "tick", 4_102_444_800_u64)
        .unwrap();
    scheduler
        .wait_for("last fire time is far in the future; entry waits until then")
        .status("unhealthy")
        .status("(until 2100-01-01T00:00:00Z)");
}

#[tokio::test]
async fn no_clock_skew_and_no_record_overflow_a_time() {
    let mut redis = Redis::start();
    let store = leader(&redis).await.with_limits(Limits {
        clock_skew: Some(TimeDelta::MAX),
        ..Limits::default()
    });
    let () = redis
        .connection
        .hset(FIRED, "tick", 4_102_444_800_u64)
        .unwrap();
    let mut engine = engine(&store);
    for now in [DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC] {
        engine.take_up(&schedule(EACH_SECOND), now).await.unwrap();
    }
}

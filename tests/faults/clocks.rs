//! Wrong clocks of one host and of two hosts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use chrono::{DateTime, TimeDelta, Utc};
use redis::Commands as _;
use rescue_scheduler::{
    clock::{Clock, SystemClock},
    core::time::zone::Zone,
    engine::{Commands, Engine, Tick, delayed::Delayed, recurring::Recurring},
    events::Events,
    store::{Limits, RedisStore, Store as _},
};
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{
        LOCK, PATIENCE, Redis, item,
        ticks::{EACH_SECOND, assert_gapless, fire_times},
        unix_now,
    },
    store::{leader, options, schedule, store_as},
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

/// Ticks at `now` until nothing is due. Returns the new fire times in the queue.
async fn fires_at(engine: &mut Recurring<RedisStore>, now: i64, redis: &mut Redis) -> Vec<i64> {
    let before = fire_times(redis).len();
    while engine.tick(at(now)).await.unwrap() == Tick::More {}
    fire_times(redis).split_off(before)
}

async fn engine(store: &RedisStore, now: i64) -> Recurring<RedisStore> {
    let mut engine = Recurring::new(
        store.with_own_connection(),
        Arc::new(SystemClock),
        Zone::UTC,
        Events::default(),
    );
    engine
        .take_up(&schedule(EACH_SECOND), at(now))
        .await
        .unwrap();
    engine
}

#[tokio::test]
async fn a_jump_forward_by_an_hour_is_a_gap_and_the_way_back_fires_nothing_twice() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let mut engine = engine(&store, 100_000).await;
    assert_eq!(
        fires_at(&mut engine, 100_002, &mut redis).await,
        [100_001, 100_002]
    );
    // Only fires within the catch-up window of five minutes are caught up.
    let jumped = fires_at(&mut engine, 103_602, &mut redis).await;
    let window: Vec<i64> = (103_302..=103_602).collect();
    assert_eq!(jumped, window);
    assert_eq!(fires_at(&mut engine, 100_003, &mut redis).await, [0; 0]);
    assert_eq!(fires_at(&mut engine, 103_602, &mut redis).await, [0; 0]);
    assert_eq!(fires_at(&mut engine, 103_603, &mut redis).await, [103_603]);
}

#[tokio::test]
async fn a_jump_backward_by_an_hour_fires_nothing_twice() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let mut engine = engine(&store, 100_000).await;
    assert_eq!(fires_at(&mut engine, 100_001, &mut redis).await, [100_001]);
    for now in [96_401, 98_000, 100_000, 100_001] {
        assert_eq!(fires_at(&mut engine, now, &mut redis).await, [0; 0]);
    }
    assert_eq!(fires_at(&mut engine, 100_002, &mut redis).await, [100_002]);
}

#[tokio::test]
async fn two_schedulers_an_hour_apart_that_both_believe_they_lead_fire_nothing_twice() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let (mut right, mut ahead) = (engine(&store, 100_000).await, engine(&store, 103_600).await);
    for second in 1..=60 {
        fires_at(&mut right, 100_000 + second, &mut redis).await;
        fires_at(&mut ahead, 103_600 + second, &mut redis).await;
    }
    let fires = fire_times(&mut redis);
    assert!(fires.is_sorted_by(|a, b| a < b), "{fires:?}");
    println!("{} fires, none twice", fires.len());
}

/// This host's clock, shifted by this many seconds.
pub struct Moved(pub AtomicI64);

impl Clock for Moved {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + TimeDelta::seconds(self.0.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Instant {
        SystemClock.monotonic()
    }
}

pub fn engine_on(store: RedisStore, clock: &Arc<Moved>) -> Engine<RedisStore> {
    let options = options(std::time::Duration::from_secs(1));
    Engine::new(
        store,
        Arc::clone(clock) as Arc<dyn Clock>,
        options,
        Events::default(),
    )
}

pub async fn run(engine: Engine<RedisStore>, stop: &CancellationToken) {
    let load = Arc::new(|| unreachable!("nobody asks for a reload"));
    let (_commands, requests) = Commands::new();
    let schedule = schedule(EACH_SECOND);
    engine.run(schedule, load, requests, stop.clone()).await;
}

/// Waits until `state` returns `expected`.
pub async fn becomes<T: PartialEq + std::fmt::Debug>(mut state: impl FnMut() -> T, expected: T) {
    let is = async {
        while state() != expected {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, is).await;
    assert!(waited.is_ok(), "{:?}, expected {expected:?}", state());
}

pub const YEAR: i64 = 31_536_000;

pub fn guarded(redis: &Redis, number: usize) -> RedisStore {
    let store = store_as(redis.url(), &format!("here:{number}"), "a", None);
    store.with_limits(Limits {
        clock_skew: Some(TimeDelta::seconds(30)),
        ..Limits::default()
    })
}

pub fn held_by(redis: &mut redis::Connection) -> Option<String> {
    redis.get(LOCK).unwrap()
}

#[tokio::test]
async fn entries_that_fired_by_a_clock_that_was_ahead_are_a_problem_until_their_time_has_come() {
    let mut redis = Redis::start();
    let clock = Arc::new(Moved(AtomicI64::new(8)));
    let engine = engine_on(guarded(&redis, 1), &clock);
    let (health, stop) = (engine.health(), CancellationToken::new());
    let check = async {
        becomes(|| fire_times(&mut redis).len() >= 2, true).await;
        clock.0.store(0, Ordering::Relaxed);
        let said = || health.problems().join("; ");
        let problem = "entries that wait because their last fire is recorded for a time in the future: 1, the furthest is tick";
        becomes(|| said().contains(problem), true).await;
        assert!(!said().contains("HSET"), "{}", said());
        becomes(|| health.problems(), vec![]).await;
        let fires = fire_times(&mut redis).len();
        becomes(|| fire_times(&mut redis).len() >= fires + 2, true).await;
        stop.cancel();
    };
    tokio::join!(run(engine, &stop), check);
    assert_gapless(&fire_times(&mut redis));
}

/// Returns the fence of the entry.
fn fence(redis: &mut Redis) -> Option<i64> {
    let key = "resque:rescue_scheduler:fired";
    redis.connection.hget(key, "tick").unwrap()
}

#[tokio::test]
async fn a_host_whose_clock_is_a_year_off_does_not_lead_until_it_is_right() {
    for off in [YEAR, -YEAR] {
        let mut redis = Redis::start();
        let clock = Arc::new(Moved(AtomicI64::new(off)));
        let engine = engine_on(guarded(&redis, 1), &clock);
        let (health, stop) = (engine.health(), CancellationToken::new());
        redis.delay(unix_now() + 86_400, item("q", 1));
        let check = async {
            let problem = format!(
                "this host's clock is {off:+}.0 s off Redis' clock, more than the 30s that a leader's may be \
                 (--max-clock-skew); not leading until one of them is corrected"
            );
            becomes(|| health.problems(), vec![problem]).await;
            // The host keeps checking the clocks, but does not lead.
            tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
            assert_eq!(held_by(&mut redis.connection), None);
            assert_eq!((fence(&mut redis), redis.queue("q").len()), (None, 0));

            clock.0.store(0, Ordering::Relaxed);
            becomes(|| health.problems(), vec![]).await;
            becomes(|| fire_times(&mut redis).len() >= 2, true).await;
            assert_eq!(redis.queue("q").len(), 0);
            stop.cancel();
        };
        tokio::join!(run(engine, &stop), check);
    }
}

#[tokio::test]
async fn a_leader_whose_clock_jumps_a_year_ahead_releases_the_lease_and_no_fire_is_lost() {
    let mut redis = Redis::start();
    let clocks = [0, 1].map(|_| Arc::new(Moved(AtomicI64::new(0))));
    let engines = [0, 1].map(|number| engine_on(guarded(&redis, number), &clocks[number]));
    let stop = CancellationToken::new();
    redis.delay(unix_now() + 86_400, item("q", 1));
    let check = async {
        let number = |holder: String| usize::from(holder == "here:1");
        becomes(|| fire_times(&mut redis).len() >= 2, true).await;
        let first = number(held_by(&mut redis.connection).unwrap());
        let other = Some(format!("here:{}", 1 - first));
        clocks[first].0.store(YEAR, Ordering::Relaxed);
        becomes(|| held_by(&mut redis.connection), other).await;
        let fires = fire_times(&mut redis).len();
        becomes(|| fire_times(&mut redis).len() >= fires + 4, true).await;

        // Now the clock of the new leader jumps, and the first host, whose clock is right again, takes over.
        clocks[first].0.store(0, Ordering::Relaxed);
        clocks[1 - first].0.store(YEAR, Ordering::Relaxed);
        let first = Some(format!("here:{first}"));
        becomes(|| held_by(&mut redis.connection), first).await;
        let fires = fire_times(&mut redis).len();
        becomes(|| fire_times(&mut redis).len() >= fires + 2, true).await;
        stop.cancel();
    };
    let [one, other] = engines;
    tokio::join!(run(one, &stop), run(other, &stop), check);
    assert_gapless(&fire_times(&mut redis));
    assert!(fence(&mut redis) <= Some(unix_now()));
    assert_eq!(redis.queue("q").len(), 0);
}

#[tokio::test]
async fn once_does_not_enqueue_by_a_clock_that_is_an_hour_ahead() {
    let mut redis = Redis::start();
    let clock = Arc::new(Moved(AtomicI64::new(3_600)));
    let engine = engine_on(guarded(&redis, 1), &clock);
    let schedule = schedule(EACH_SECOND);
    let done = engine.run_once(&schedule, CancellationToken::new());
    let error = done.await.unwrap_err().to_string();
    assert!(error.contains("+3600.0 s off Redis' clock"), "{error}");
    assert_eq!(held_by(&mut redis.connection), None);
}

#[tokio::test]
async fn a_fire_that_is_too_early_by_redis_clock_waits_and_leaves_no_fence_in_the_future() {
    let mut redis = Redis::start();
    let store = guarded(&redis, 1);
    let lease = std::time::Duration::from_secs(60);
    store.take_lease(lease, None, None).await.unwrap();
    let now = unix_now();
    let mut engine = engine(&store, now - 2).await;
    assert_eq!(fires_at(&mut engine, now, &mut redis).await, [now - 1, now]);
    let ahead = now + 3_600;
    for second in 0..3 {
        let fires = fires_at(&mut engine, ahead + second, &mut redis).await;
        assert_eq!((fires, engine.rejected()), (vec![], 1));
    }
    assert_eq!(fence(&mut redis), Some(now));
    assert_eq!(fires_at(&mut engine, now, &mut redis).await, [0; 0]);
    assert_eq!(engine.rejected(), 0);
}

#[tokio::test]
async fn delayed_jobs_that_are_too_early_by_redis_clock_stay_and_others_are_moved() {
    let mut redis = Redis::start();
    let store = guarded(&redis, 1);
    let lease = std::time::Duration::from_secs(60);
    store.take_lease(lease, None, None).await.unwrap();
    let now = unix_now();
    let timestamps = [now - 5, now, now + 3_600, now + 7_200];
    for (timestamp, number) in timestamps.into_iter().zip(0..) {
        redis.delay(timestamp, item("q", number));
    }
    let mut engine = Delayed::new(
        store.with_own_connection(),
        Arc::new(SystemClock),
        3,
        Events::default(),
    );
    for second in 0..3 {
        while engine.tick(at(now + YEAR + second)).await.unwrap() == Tick::More {}
        assert_eq!((redis.queue("q").len(), engine.undone()), (2, 1));
    }
    while engine.tick(at(now)).await.unwrap() == Tick::More {}
    assert_eq!((redis.queue("q").len(), engine.undone()), (2, 0));
    let left: usize = redis
        .connection
        .zcard("resque:delayed_queue_schedule")
        .unwrap();
    assert_eq!(left, 2);
}

#[tokio::test]
async fn skew_against_redis_is_measured_and_logged() {
    let mut redis = Redis::start();
    let store = store_as(redis.url(), "here:1", "a", None);
    let clock = Arc::new(Moved(AtomicI64::new(0)));
    let engine = engine_on(store, &clock);
    let health = engine.health();
    let stop = CancellationToken::new();
    let check = async {
        for (seconds, problem) in [
            (3600, "this host's clock is +3600.0 s off Redis' clock"),
            (0, ""),
            (-2, "this host's clock is -2.0 s off Redis' clock"),
        ] {
            clock.0.store(seconds, Ordering::Relaxed);
            // A fire by the wrong clock causes another problem, too.
            let of_the_clock = |it: &String| it.starts_with("this host's clock");
            let found = || health.problems().into_iter().find(of_the_clock);
            becomes(|| found().unwrap_or_default(), problem.to_owned()).await;
        }
        stop.cancel();
    };
    tokio::join!(run(engine, &stop), check);
    let fires = fire_times(&mut redis);
    assert!(fires.is_sorted_by(|a, b| a < b), "{fires:?}");
}

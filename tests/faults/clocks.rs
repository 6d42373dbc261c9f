//! Clocks that are wrong: of one host, and of two hosts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use chrono::{DateTime, TimeDelta, Utc};
use rescue_scheduler::{
    clock::{Clock, SystemClock},
    core::zone::Zone,
    engine::{Engine, Options, Wishes, recurring::Recurring},
    store::{RedisStore, Store as _},
};
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{
        PATIENCE, Redis,
        ticks::{EACH_SECOND, fire_times},
    },
    store::{leader, schedule, store_as},
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

/// Ticks at `now` until nothing is due; returns the fire times that are new in the queue.
async fn fires_at(engine: &mut Recurring<RedisStore>, now: i64, redis: &mut Redis) -> Vec<i64> {
    let before = fire_times(redis).len();
    while engine.tick(at(now)).await.unwrap() == rescue_scheduler::engine::Tick::More {}
    fire_times(redis).split_off(before)
}

async fn engine(store: &RedisStore, now: i64) -> Recurring<RedisStore> {
    let mut engine = Recurring::new(store.apart(), Arc::new(SystemClock), Zone::UTC);
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
    // What catch-up fires is within its window of five minutes.
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

/// This host's clock, moved by so many seconds.
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + TimeDelta::seconds(self.0.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Instant {
        SystemClock.monotonic()
    }
}

#[tokio::test]
async fn skew_against_redis_is_measured_and_told() {
    let mut redis = Redis::start();
    let store = store_as(redis.url(), "here:1", "a", None);
    let clock = Arc::new(Moved(AtomicI64::new(0)));
    let options = Options {
        lease: std::time::Duration::from_secs(1),
        interval: std::time::Duration::from_secs(1),
        delayed_batch: 1000,
        zone: Zone::UTC,
        dynamic: None,
    };
    let engine = Engine::new(store, Arc::clone(&clock) as Arc<dyn Clock>, options);
    let health = engine.health();
    let stop = CancellationToken::new();
    let schedule = schedule(EACH_SECOND);
    let until = async |problem: &str| {
        let said = async {
            while health.problems().join("; ") != problem {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, said).await;
        assert!(
            waited.is_ok(),
            "{:?}, expected {problem}",
            health.problems()
        );
    };
    let check = async {
        for (seconds, problem) in [
            (3600, "this host's clock is +3600.0 s off Redis' clock"),
            (0, ""),
            (-2, "this host's clock is -2.0 s off Redis' clock"),
        ] {
            clock.0.store(seconds, Ordering::Relaxed);
            until(problem).await;
        }
        stop.cancel();
    };
    let load = Arc::new(|| unreachable!("nobody wishes a reload"));
    let wishes = Wishes::default();
    tokio::join!(engine.run(schedule, load, &wishes, stop.clone()), check);
    let fires = fire_times(&mut redis);
    assert!(fires.is_sorted_by(|a, b| a < b), "{fires:?}");
}

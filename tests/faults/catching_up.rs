//! An entry with very many missed fires delays no other entry.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rescue_scheduler::{
    clock::SystemClock,
    core::time::zone::Zone,
    engine::{Tick, recurring::Recurring},
    events::Events,
    store::{RedisStore, Store as _},
};

use crate::{
    harness::{Redis, ticks::fire_time},
    store::{leader, schedule},
};

const MONTH: i64 = 30 * 86_400;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn entry(name: &str, lines: &str) -> String {
    format!("[schedule.{name}]\nevery = '1s'\nqueue = '{name}'\ninclude_metadata = true\n{lines}\n")
}

const ALL: &str = "catch_up = 'all'\ncatch_up_window = '30d'";

/// Returns an engine whose entries were first seen a month before `now` and have never fired.
async fn behind(store: &RedisStore, entries: &[String], now: i64) -> Recurring<RedisStore> {
    let mut engine = Recurring::new(
        store.with_own_connection(),
        Arc::new(SystemClock),
        Zone::UTC,
        Events::default(),
    );
    let schedule = schedule(&entries.concat());
    engine.take_up(&schedule, at(now - MONTH)).await.unwrap();
    engine
}

fn fires(redis: &mut Redis, queue: &str) -> Vec<i64> {
    redis.queue(queue).iter().map(|it| fire_time(it)).collect()
}

#[tokio::test]
async fn fires_that_are_on_time_go_before_millions_of_missed_ones() {
    let (mut redis, now) = (Redis::start(), MONTH + 1_000_000);
    let store = leader(&redis).await;
    let entries = [entry("old", ALL), entry("present", "")];
    let mut engine = behind(&store, &entries, now).await;
    for second in now..now + 3 {
        for milliseconds in [0, 200] {
            let instant = at(second) + TimeDelta::milliseconds(milliseconds);
            assert_eq!(engine.tick(instant).await.unwrap(), Tick::More);
            assert_eq!(fires(&mut redis, "present").last(), Some(&second));
        }
    }
    let all: Vec<i64> = (now - 5..now + 3).collect();
    assert_eq!(fires(&mut redis, "present"), all);
}

#[tokio::test]
async fn at_most_a_thousand_missed_fires_of_an_entry_are_enqueued_in_a_second() {
    let (mut redis, now) = (Redis::start(), MONTH + 1_000_000);
    let store = leader(&redis).await;
    let mut engine = behind(&store, &[entry("old", ALL)], now).await;
    for second in 0..3 {
        let until = Some(at(now + second + 1));
        while engine.tick(at(now + second)).await.unwrap() != (Tick::Done { until }) {}
        let count = 1_000 * usize::try_from(second + 1).unwrap();
        assert_eq!(redis.queue("old").len(), count);
    }
    // The fires are in order, without gaps.
    let caught_up = fires(&mut redis, "old");
    assert!(caught_up.windows(2).all(|it| it[1] == it[0] + 1));
}

#[tokio::test]
async fn entries_that_catch_up_share_each_batch_by_fire_time() {
    let (mut redis, now) = (Redis::start(), MONTH + 1_000_000);
    let store = leader(&redis).await;
    let entries = [entry("a", ALL), entry("b", ALL)];
    let mut engine = behind(&store, &entries, now).await;
    for batch in 1..=3 {
        engine.tick(at(now)).await.unwrap();
        let (a, b) = (fires(&mut redis, "a"), fires(&mut redis, "b"));
        assert_eq!(a, b, "batch {batch}");
    }
}

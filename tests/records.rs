//! The records of entries in Redis: what identifies a timing, and what becomes of entries that leave the
//! schedule.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use redis::Commands as _;
use rescue_scheduler::{
    clock::StoppedClock,
    core::zone::Zone,
    engine::{Tick, recurring::Recurring},
    store::{RedisStore, Store as _},
};

use crate::{
    harness::Redis,
    store::{leader, schedule},
};

const OURS: &str = "resque:rescue_scheduler";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn hash(redis: &mut Redis, name: &str) -> BTreeMap<String, String> {
    redis.connection.hgetall(format!("{OURS}:{name}")).unwrap()
}

fn engine(store: &RedisStore) -> Recurring<RedisStore> {
    Recurring::new(store.apart(), Arc::new(StoppedClock(at(0))), Zone::UTC)
}

/// Fires all that is due; returns how many payloads are in the queue `q` then.
async fn fires(engine: &mut Recurring<RedisStore>, now: i64, redis: &mut Redis) -> usize {
    while engine.tick(at(now)).await.unwrap() == Tick::More {}
    redis.queue("q").len()
}

#[tokio::test]
async fn records_of_versions_without_identities_are_read_on_and_rewritten() {
    const ENTRIES: &str = "[defaults]\nqueue = 'q'\n\
        [schedule.interval]\nevery = '1h'\ntimes = 3\n\
        [schedule.once]\nin = '5m'\n\
        [schedule.zoned]\ncron = '0 0 * * *'\ntimezone = 'Asia/Tokyo'\n\
        [schedule.other]\nevery = '2h'\n";
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let old = [
        ("interval", "100000 every 1h"),
        ("once", "100000 once in 5m"),
        // The zone was written in the expression then.
        ("zoned", "100000 cron 0 0 * * * Asia/Tokyo"),
        ("other", "100000 every 1h"),
    ];
    let seen = format!("{OURS}:seen");
    let () = redis.connection.hset_multiple(&seen, &old).unwrap();
    let fires_key = format!("{OURS}:fires");
    let () = redis.connection.hset(&fires_key, "interval", 2).unwrap();
    let fired = [("interval", 107_200), ("once", 100_300)];
    let key = format!("{OURS}:fired");
    let () = redis.connection.hset_multiple(&key, &fired).unwrap();

    let mut engine = engine(&store);
    engine
        .take_up(&schedule(ENTRIES), at(110_000))
        .await
        .unwrap();

    let rewritten = [
        ("interval", "100000 v1 every 3600"),
        ("once", "100000 v1 once in 300"),
        ("zoned", "100000 v1 cron 0 0 * * * Asia/Tokyo"),
        ("other", "110000 v1 every 7200"),
    ];
    let rewritten = rewritten.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(hash(&mut redis, "seen"), BTreeMap::from(rewritten));
    // The third of three; the one-shot does not fire again.
    assert_eq!(fires(&mut engine, 110_801, &mut redis).await, 1);
    assert_eq!(fires(&mut engine, 114_401, &mut redis).await, 1);
}

//! The scripts, one law at a time: two schedulers that both believe they lead, apps that race with them, keys of
//! the wrong type, and users without all rights.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use redis::Commands;
use rescue_scheduler::{
    clock::StoppedClock,
    config::{self, Context, Source},
    core::{
        firing::outcome::Cause,
        schedule::{Schedule, overlap::Guard},
        time::zone::Zone,
    },
    engine::{Options, Tick, delayed::Delayed, recurring::Recurring},
    events::Events,
    store::{
        Address, BatchLimit, Bucket, Credentials, Destination, Fire, FireOutcome, Identity, Keys,
        Lease, MoveOutcome, RecordChange, RedisStore, Store,
    },
};

use crate::harness::{self, LOCK, Redis, payload};

pub const LEASE: Duration = Duration::from_secs(60);
const ALL: BatchLimit = BatchLimit {
    count: 1000,
    bytes: 1 << 20,
    item: usize::MAX,
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn now() -> DateTime<chrono::FixedOffset> {
    at(2_000).fixed_offset()
}

/// Returns engine options with this lease.
pub fn options(lease: Duration) -> Options {
    Options {
        lease,
        interval: Duration::from_secs(1),
        delayed_batch: 1000,
        zone: Zone::UTC,
        dynamic: None,
    }
}

pub fn store_as(url: &str, holder: &str, token: &str, prefix: Option<&str>) -> RedisStore {
    let identity = Identity {
        holder: holder.to_owned(),
        token: token.to_owned(),
    };
    let address = Address::parse(url, Credentials::default()).unwrap();
    RedisStore::open(&address, Keys::new("resque", prefix), identity).unwrap()
}

async fn take_lease(store: &RedisStore) -> Lease {
    let (lease, _) = store.take_lease(LEASE, None, None).await.unwrap();
    lease
}

/// Returns a store that holds the lease.
pub async fn leader(redis: &Redis) -> RedisStore {
    let store = store_as(redis.url(), "here:1", "a", None);
    assert_eq!(take_lease(&store).await, Lease::Taken);
    store
}

fn item(number: usize) -> String {
    harness::item("q", number)
}

fn to_queue(number: usize) -> Destination {
    Destination::Queue {
        name: "q".to_owned(),
        payload: payload(number),
    }
}

fn fire(fire_time: i64) -> Fire<'static> {
    Fire {
        name: "entry",
        times: None,
        fire_time: at(fire_time),
        cause: Cause::Scheduled,
        lateness: TimeDelta::zero(),
        queue: "q",
        payload: "{}".into(),
        guard: Guard::default(),
        fixed_parts: None,
    }
}

/// Returns the change for an entry that is first seen with this timing.
fn first(timing: &str) -> RecordChange {
    RecordChange::First {
        name: "entry".to_owned(),
        timing: timing.to_owned(),
    }
}

#[tokio::test]
async fn items_removed_after_the_read_are_not_moved_and_items_added_after_it_stay() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    (0..4).for_each(|number| redis.delay(1_000, item(number)));
    let due = store.due(at(2_000), ALL, None).await.unwrap().unwrap();
    assert_eq!(due.buckets[0].items.len(), 4);

    let bucket = "resque:delayed:1000";
    let () = redis.connection.lrem(bucket, 0, item(0)).unwrap();
    let () = redis.connection.lrem(bucket, 0, item(2)).unwrap();
    redis.delay(1_000, item(4));
    let targets: Vec<_> = (0..4).map(to_queue).collect();
    let outcomes = store.move_batch(&due.buckets, &targets).await.unwrap();

    let (moved, left) = (MoveOutcome::Moved, MoveOutcome::Left);
    assert_eq!(
        outcomes.unwrap(),
        [left.clone(), moved.clone(), left, moved]
    );
    assert_eq!(redis.queue("q"), [payload(1), payload(3)]);
    let kept: Vec<String> = redis.connection.lrange(bucket, 0, -1).unwrap();
    assert_eq!(kept, [item(4)]);
    let again = store.due(at(2_000), ALL, None).await.unwrap().unwrap();
    assert_eq!(again.buckets.len(), 1, "its timestamp is still there");
}

#[tokio::test]
async fn without_the_lease_nothing_is_done() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    redis.delay(1_000, item(0));
    let due = store.due(at(2_000), ALL, None).await.unwrap().unwrap();
    let () = redis.connection.set(LOCK, "ruby:2").unwrap();
    let before = redis.dump();

    assert_eq!(store.fire(&[fire(1)], now()).await.unwrap(), None);
    assert_eq!(
        store
            .move_batch(&due.buckets, &[to_queue(0)])
            .await
            .unwrap(),
        None
    );
    let first = [first("v1 every 1")];
    assert!(!store.change_records(&first, at(1)).await.unwrap());
    assert!(!store.release_lease().await.unwrap());
    assert_eq!(redis.dump(), before);
    assert!(store.records().await.unwrap().seen.is_empty());
}

#[tokio::test]
async fn the_fence_admits_each_fire_time_once_and_no_earlier_one() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let fires = [fire(10), fire(10), fire(9), fire(11)];
    let outcomes = store.fire(&fires, now()).await.unwrap().unwrap();
    let (done, already) = (FireOutcome::Fired, FireOutcome::AlreadyFired);
    assert_eq!(outcomes, [done.clone(), already.clone(), already, done]);
    assert_eq!(redis.queue("q").len(), 2);
    assert_eq!(store.records().await.unwrap().fired["entry"], at(11));
}

#[tokio::test]
async fn a_rejected_fire_is_not_recorded() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let () = redis.connection.set("resque:queue:q", "a string").unwrap();
    let outcome = store.fire(&[fire(10)], now()).await.unwrap().unwrap();
    assert!(matches!(&outcome[..], [FireOutcome::Rejected(why)] if why.contains("WRONGTYPE")));
    assert!(store.records().await.unwrap().fired.is_empty());
    let () = redis.connection.del("resque:queue:q").unwrap();
    assert_eq!(
        store.fire(&[fire(10)], now()).await.unwrap().unwrap(),
        [FireOutcome::Fired]
    );
}

pub fn schedule(text: &str) -> Schedule {
    let source = Source::new("a.toml", text);
    let context = Context::default();
    config::parse(&[source], &context).unwrap().schedule
}

#[tokio::test]
async fn two_schedulers_that_both_believe_they_lead_fire_once() {
    let mut redis = Redis::start();
    let schedule = schedule("[schedule.tick]\nevery = \"1s\"\nqueue = \"q\"\n");
    // Both have the same lock value, like process 1 in two containers of one host.
    let store = leader(&redis).await;
    let engine = || {
        let clock = Arc::new(StoppedClock(at(0)));
        Recurring::new(
            store.with_own_connection(),
            clock,
            Zone::UTC,
            Events::default(),
        )
    };
    let (mut first, mut second) = (engine(), engine());
    for engine in [&mut first, &mut second] {
        engine.take_up(&schedule, at(1_000)).await.unwrap();
    }
    for now in 1_001..1_010 {
        for engine in [&mut first, &mut second] {
            let until = Some(at(now + 1));
            assert_eq!(engine.tick(at(now)).await.unwrap(), Tick::Done { until });
        }
    }
    assert_eq!(redis.queue("q").len(), 9);
}

#[tokio::test]
async fn a_skipped_fire_does_not_count_towards_times() {
    let mut redis = Redis::start();
    let schedule = schedule(
        "[schedule.few]\nevery = '1s'\ntimes = 3\nqueue = 'q'\noverlap = 'skip_if_queued'\n",
    );
    let store = leader(&redis).await;
    let engine = || {
        Recurring::new(
            store.with_own_connection(),
            Arc::new(StoppedClock(at(0))),
            Zone::UTC,
            Events::default(),
        )
    };
    let (mut first, mut second) = (engine(), engine());
    for engine in [&mut first, &mut second] {
        engine.take_up(&schedule, at(1_000)).await.unwrap();
    }
    for now in 1_001..1_010 {
        first.tick(at(now)).await.unwrap();
        second.tick(at(now)).await.unwrap();
    }
    let () = redis.connection.del("resque:queue:q").unwrap();
    second.tick(at(1_010)).await.unwrap();
    let () = redis.connection.del("resque:queue:q").unwrap();
    second.tick(at(1_011)).await.unwrap();
    assert_eq!(redis.queue("q").len(), 1);
    assert_eq!(store.records().await.unwrap().fires["few"], 3);
    // The first engine has fired one of the three times, the second two.
    let () = redis.connection.del("resque:queue:q").unwrap();
    for engine in [&mut first, &mut second] {
        while engine.tick(at(1_012)).await.unwrap() != (Tick::Done { until: None }) {}
    }
    assert_eq!(redis.queue("q").len(), 0);
}

#[tokio::test]
async fn a_late_request_does_not_restart_an_entry() {
    let redis = Redis::start();
    let store = leader(&redis).await;
    let every_second = [first("v1 every 1")];
    let recorded = store.change_records(&every_second, at(1_000)).await;
    assert!(recorded.unwrap());
    let limited = Fire {
        times: Some(2),
        ..fire(1_001)
    };
    store.fire(&[limited], now()).await.unwrap().unwrap();
    let recorded = store.change_records(&every_second, at(999)).await;
    assert!(recorded.unwrap());
    let records = store.records().await.unwrap();
    assert_eq!(records.seen["entry"].0, at(1_000));
    assert_eq!(records.fires["entry"], 1);
    // With another timing, the entry starts again.
    let another = [first("v1 every 2")];
    let recorded = store.change_records(&another, at(1_002)).await;
    assert!(recorded.unwrap());
    let records = store.records().await.unwrap();
    assert_eq!(records.seen["entry"], (at(1_002), "v1 every 2".into()));
    assert!(records.fires.is_empty());
}

#[tokio::test]
async fn a_rejected_fire_is_retried_soon_even_if_the_clock_goes_back() {
    let mut redis = Redis::start();
    let schedule = schedule(
        "[schedule.entry]\nevery = \"1s\"\nqueue = \"q\"\ncatch_up = \"all\"\ncatch_up_window = \"1d\"\n",
    );
    let clock = Arc::new(StoppedClock(at(0)));
    let mut recurring = Recurring::new(leader(&redis).await, clock, Zone::UTC, Events::default());
    recurring.take_up(&schedule, at(1_000)).await.unwrap();
    let () = redis.connection.set("resque:queue:q", "a string").unwrap();
    recurring.tick(at(4_600)).await.unwrap();
    assert_eq!(recurring.rejected(), 1);
    let () = redis.connection.del("resque:queue:q").unwrap();
    recurring.tick(at(1_003)).await.unwrap();
    assert_eq!(redis.queue("q").len(), 1);
    assert_eq!(recurring.rejected(), 0);
}

/// Moves delayed jobs until nothing is due.
async fn move_all(store: RedisStore) {
    let mut delayed = Delayed::new(
        store,
        Arc::new(StoppedClock(at(2_000))),
        1000,
        Events::default(),
    );
    while delayed.tick(at(2_000)).await.unwrap() == Tick::More {}
}

#[tokio::test]
async fn a_reverse_index_of_the_wrong_type_does_not_double_a_job() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    redis.delay(1_000, item(0));
    let index = format!("resque:timestamps:{}", item(0));
    let () = redis.connection.del(&index).unwrap();
    let () = redis.connection.set(&index, "a string").unwrap();
    move_all(store.with_own_connection()).await;
    move_all(store).await;
    assert_eq!(redis.queue("q"), [payload(0)]);
}

#[tokio::test]
async fn a_missing_right_never_leaves_a_fire_or_a_move_half_done() {
    let mut redis = Redis::start();
    for denied in ["ltrim", "zrem", "exists", "rpush", "sadd", "hset"] {
        let () = redis::cmd("FLUSHALL").query(&mut redis.connection).unwrap();
        leader(&redis).await;
        redis.delay(1_000, item(0));
        let rights = ["on", ">pw", "~*", "&*", "+@all", &format!("-{denied}")];
        let () = redis::cmd("ACL")
            .arg(&["SETUSER", "few", "reset"])
            .arg(&rights)
            .query(&mut redis.connection)
            .unwrap();
        let url = format!("{}?user=few&pass=pw", redis.url());
        let store = store_as(&url, "here:1", "a", None);

        let due = store.due(at(2_000), ALL, None).await.unwrap().unwrap();
        for _ in 0..2 {
            let _ = store.move_batch(&due.buckets, &[to_queue(0)]).await;
            let _ = store.fire(&[fire(10)], now()).await;
        }

        let pushed = redis.queue("q");
        let bucket: Vec<String> = redis
            .connection
            .lrange("resque:delayed:1000", 0, -1)
            .unwrap();
        let jobs = pushed.iter().filter(|it| **it == payload(0)).count() + bucket.len();
        assert_eq!(jobs, 1, "without {denied}: {pushed:?} {bucket:?}");
        let fires = pushed.iter().filter(|it| *it == "{}").count();
        let recorded = usize::from(!store.records().await.unwrap().fired.is_empty());
        assert_eq!(fires, recorded, "without {denied}");
    }
}

#[tokio::test]
async fn a_lease_is_taken_renewed_and_handed_over() {
    let mut redis = Redis::start();
    let ours = leader(&redis).await;
    let twin = store_as(redis.url(), "here:1", "b", None);
    let other = store_as(redis.url(), "there:1", "c", None);
    assert_eq!(take_lease(&ours).await, Lease::Renewed);
    for follower in [&twin, &other] {
        let lease = take_lease(follower).await;
        assert!(
            matches!(lease, Lease::HeldBy { holder, remaining: Some(_) } if holder == "here:1")
        );
        assert!(!follower.release_lease().await.unwrap());
    }
    assert!(ours.release_lease().await.unwrap());
    let left: i64 = redis
        .connection
        .pttl("resque:rescue_scheduler:handover")
        .unwrap();
    assert!(
        (1..=1000).contains(&left),
        "a follower would be woken: {left}"
    );
    other
        .wait_for_handover(Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(take_lease(&other).await, Lease::Taken);
}

#[tokio::test]
async fn schedulers_with_different_lock_prefixes_are_independent() {
    let redis = Redis::start();
    let blue = store_as(redis.url(), "here:1", "a", Some("blue"));
    let green = store_as(redis.url(), "here:2", "b", Some("green"));
    for (round, lease) in [Lease::Taken, Lease::Renewed].into_iter().enumerate() {
        for store in [&blue, &green] {
            assert_eq!(take_lease(store).await, lease, "round {round}");
        }
    }
    for store in [&blue, &green] {
        let outcomes = store.fire(&[fire(10)], now()).await.unwrap().unwrap();
        assert_eq!(outcomes, [FireOutcome::Fired]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_races_with_two_leaders_never_loses_or_doubles_a_job() {
    const JOBS: usize = 5_000;
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    (0..JOBS).for_each(|number| redis.delay(1_000, item(number)));

    let mut movers = tokio::task::JoinSet::new();
    movers.spawn(move_all(store.with_own_connection()));
    movers.spawn(move_all(store));
    let mut removed = vec![];
    for number in (0..JOBS).rev().step_by(2) {
        let count: usize = redis
            .connection
            .lrem("resque:delayed:1000", 0, item(number))
            .unwrap();
        removed.extend((count > 0).then(|| payload(number)));
    }
    movers.join_all().await;

    let mut all = redis.queue("q");
    println!("{} moved, {} removed", all.len(), removed.len());
    all.extend(removed);
    all.sort_unstable();
    let mut expected: Vec<String> = (0..JOBS).map(payload).collect();
    expected.sort_unstable();
    assert!(all == expected, "a job was lost, or moved and removed");
}

#[tokio::test]
async fn a_batch_for_more_queues_than_a_header_can_name_is_moved_in_two_calls() {
    const QUEUES: usize = 66_000;
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let name = |number: usize| format!("{number:05}");
    let mut fill = redis::pipe();
    for number in 0..QUEUES {
        fill.rpush("resque:delayed:1000", name(number)).ignore();
    }
    fill.zadd("resque:delayed_queue_schedule", 1_000, 1_000);
    let () = fill.query(&mut redis.connection).unwrap();
    let mut done = 0;
    for moved in [65_000, 1_000] {
        let numbers = done..QUEUES;
        let bucket = Bucket {
            member: b"1000".to_vec(),
            due: at(1_000),
            items: numbers.clone().map(|it| name(it).into_bytes()).collect(),
            passed: None,
        };
        let target = |number| Destination::Queue {
            name: name(number),
            payload: name(number),
        };
        let targets: Vec<Destination> = numbers.map(target).collect();
        let outcomes = store
            .move_batch(&[bucket], &targets)
            .await
            .unwrap()
            .unwrap();
        let first = outcomes.iter().take_while(|it| **it == MoveOutcome::Moved);
        assert_eq!(first.count(), moved);
        let left = outcomes[moved..].iter().all(|it| *it == MoveOutcome::Left);
        assert!(left);
        done += moved;
    }
    for number in [0, 1, 64_999, 65_000, 65_535, 65_999] {
        assert_eq!(redis.queue(&name(number)), [name(number)]);
    }
}

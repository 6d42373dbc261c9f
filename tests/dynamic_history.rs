//! Dynamic entries over several terms: what each leader knows of entries that have errors, are removed, or return.

use std::sync::Arc;

use redis::Commands as _;
use rescue_scheduler::{config::Context, core::schedule::Schedule, engine::recurring::Recurring};

use crate::{
    harness::{Program, Redis, eventually},
    records::{DAY, engine, hash, names, pass},
    store::{leader, schedule},
};

const VALID: &str = r#"{"every":"1h","queue":"q"}"#;
const INVALID: &str = r#"{"every":"often","queue":"q"}"#;

/// Sets or removes the dynamic entry `mail` as an app does.
fn put(redis: &mut Redis, json: Option<&str>) {
    let (entries, mut change) = ("resque:persistent_schedules", redis::pipe());
    match json {
        Some(json) => change.hset(entries, "mail", json),
        None => change.hdel(entries, "mail"),
    };
    change.sadd("resque:schedules_changed", "mail");
    let () = change.query(&mut redis.connection).unwrap();
}

#[tokio::test]
async fn a_former_leader_does_not_bring_back_what_another_leader_removed() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let files = Arc::new(Schedule::default());
    let dynamic = || engine(&store).with_dynamic(Context::default());
    let [mut one, mut other] = [dynamic(), dynamic()];
    put(&mut redis, Some(VALID));
    pass(&mut one, 1, &files, 100_000).await;
    // The other scheduler is the leader.
    put(&mut redis, None);
    pass(&mut other, 1, &files, 100_010).await;
    put(&mut redis, Some(INVALID));
    pass(&mut one, 2, &files, 100_020).await;
    pass(&mut one, 2, &files, 103_600).await;
    assert!(redis.queue("q").is_empty());
    // Within its own term, it knows the previous version.
    put(&mut redis, Some(VALID));
    pass(&mut one, 2, &files, 103_610).await;
    put(&mut redis, Some(INVALID));
    pass(&mut one, 2, &files, 103_620).await;
    pass(&mut one, 2, &files, 107_200).await;
    assert_eq!(redis.queue("q").len(), 1);
}

#[tokio::test]
async fn an_entry_with_an_error_leaves_when_it_is_removed() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let files = Arc::new(Schedule::default());
    let dynamic = || engine(&store).with_dynamic(Context::default());
    put(&mut redis, Some(VALID));
    pass(&mut dynamic(), 1, &files, 100_000).await;
    // A leader that never read a valid version has no entry in force.
    put(&mut redis, Some(INVALID));
    let mut leads: Recurring<_> = dynamic();
    pass(&mut leads, 1, &files, 100_010).await;
    assert!(hash(&mut redis, "away").is_empty());
    put(&mut redis, None);
    pass(&mut leads, 1, &files, 100_020).await;
    assert_eq!(hash(&mut redis, "away")["mail"], "100020");
}

#[tokio::test]
async fn an_entry_that_returns_with_an_error_keeps_its_records() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let files = Arc::new(Schedule::default());
    let mut engine = engine(&store).with_dynamic(Context::default());
    put(&mut redis, Some(VALID));
    pass(&mut engine, 1, &files, 100_000).await;
    put(&mut redis, None);
    pass(&mut engine, 1, &files, 100_010).await;
    put(&mut redis, Some(INVALID));
    pass(&mut engine, 1, &files, 100_020).await;
    pass(&mut engine, 1, &files, 100_010 + DAY).await;
    assert_eq!(names(&mut redis).len(), 1);
    put(&mut redis, None);
    pass(&mut engine, 1, &files, 100_020 + DAY).await;
    assert!(names(&mut redis).is_empty());
}

#[tokio::test]
async fn entries_leave_when_a_schedule_without_entries_gets_some() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let of = |name: &str| {
        Arc::new(schedule(&format!(
            "[schedule.{name}]\nevery = '1h'\nqueue = 'q'\n"
        )))
    };
    pass(&mut engine(&store), 1, &of("leaves"), 100_000).await;
    let mut engine = engine(&store);
    pass(&mut engine, 1, &Arc::new(Schedule::default()), 100_010).await;
    assert!(hash(&mut redis, "away").is_empty());
    pass(&mut engine, 1, &of("stays"), 100_020).await;
    assert_eq!(hash(&mut redis, "away")["leaves"], "100020");
}

#[test]
fn many_entries_that_are_removed_at_once_are_all_recorded_as_left() {
    const ENTRIES: usize = 60_000;
    let mut redis = Redis::start();
    let names: Vec<_> = (0..ENTRIES).map(|it| format!("e{it}")).collect();
    let entries: Vec<_> = names.iter().map(|name| (name, VALID)).collect();
    let () = redis
        .connection
        .hset_multiple("resque:persistent_schedules", &entries)
        .unwrap();
    let scheduler = Program::on(&redis).args(["--dynamic"]).start();
    let mut other = redis.connect();
    let mut holds = |key: &str, expected: usize| {
        let key = format!("resque:rescue_scheduler:{key}");
        eventually(|| match redis.connection.hlen::<_, usize>(&key).unwrap() {
            found if found == expected => Ok(()),
            found => Err(format!("{found} in {key}\n{}", scheduler.log())),
        });
    };
    holds("seen", ENTRIES);
    holds("away", 0);
    let mut remove = redis::pipe();
    remove.atomic();
    remove
        .del("resque:persistent_schedules")
        .sadd("resque:schedules_changed", &names);
    let () = remove.query(&mut other).unwrap();
    holds("away", ENTRIES);
}

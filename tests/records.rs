//! The records of entries in Redis: the identities of timings, and entries that leave the schedule.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use redis::Commands as _;
use rescue_scheduler::{
    clock::StoppedClock,
    config::Context,
    core::{
        schedule::Schedule,
        term::{Attempt, Term},
        time::zone::Zone,
    },
    engine::{Tick, recurring::Recurring},
    events::Events,
    store::{RecordChange, RedisStore, Store as _},
};

use crate::{
    harness::{Program, Redis, unix_now},
    store::{LEASE, leader, schedule},
};

const OURS: &str = "resque:rescue_scheduler";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

pub fn hash(redis: &mut Redis, name: &str) -> BTreeMap<String, String> {
    redis.connection.hgetall(format!("{OURS}:{name}")).unwrap()
}

pub fn engine(store: &RedisStore) -> Recurring<RedisStore> {
    Recurring::new(
        store.with_own_connection(),
        Arc::new(StoppedClock(at(0))),
        Zone::UTC,
        Events::default(),
    )
}

/// Fires everything that is due. Returns the number of payloads in the queue `q` afterwards.
async fn fires(engine: &mut Recurring<RedisStore>, now: i64, redis: &mut Redis) -> usize {
    while engine.tick(at(now)).await.unwrap() == Tick::More {}
    redis.queue("q").len()
}

#[tokio::test]
async fn records_in_the_form_without_a_version_are_read_and_rewritten() {
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
        // The zone was part of the expression when this record was written.
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
    // The third of three fires. The one-shot does not fire again.
    assert_eq!(fires(&mut engine, 110_801, &mut redis).await, 1);
    assert_eq!(fires(&mut engine, 114_401, &mut redis).await, 1);
}

pub const DAY: i64 = 86_400;

/// Runs passes until nothing is left to do.
pub async fn pass(
    engine: &mut Recurring<RedisStore>,
    term: u64,
    schedule: &Arc<Schedule>,
    now: i64,
) {
    let attempt = Attempt {
        started: crate::harness::now(),
        server_clock: at(now),
    };
    let term = Term::new(term, LEASE, attempt);
    let pass = async |engine: &mut Recurring<RedisStore>| {
        engine
            .pass(term, Arc::clone(schedule), at(now))
            .await
            .unwrap()
    };
    while pass(engine).await == Tick::More {}
}

fn both_and_one(left: &str) -> [Arc<Schedule>; 2] {
    let one = "[schedule.stays]\nevery = '1h'\nqueue = 'stays'\n";
    let entry = |lines: &str| schedule(&format!("{one}{lines}"));
    let left = format!("[schedule.leaves]\nqueue = 'q'\n{left}\n");
    [entry(&left), entry("")].map(Arc::new)
}

/// Returns all names that have a record.
pub fn names(redis: &mut Redis) -> BTreeSet<String> {
    let ours = ["seen", "fired", "fires", "stamps", "away"];
    let mut names: BTreeSet<String> = ours
        .into_iter()
        .flat_map(|it| hash(redis, it).into_keys())
        .collect();
    let key = "resque:delayed:last_enqueued_at";
    let theirs: Vec<String> = redis.connection.hkeys(key).unwrap();
    names.extend(theirs);
    names
}

#[tokio::test]
async fn an_entry_that_left_the_schedule_keeps_its_records_for_a_day() {
    let [both, one] = both_and_one("every = '1h'\ntimes = 9");
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let mut engine = engine(&store);
    pass(&mut engine, 1, &both, 100_000).await;
    pass(&mut engine, 1, &both, 103_600).await;
    pass(&mut engine, 1, &one, 104_000).await;
    let all = BTreeSet::from(["leaves", "stays"].map(str::to_owned));
    for (term, now) in [(1, 104_001), (1, 104_000 + DAY - 1), (2, 104_000 + DAY - 1)] {
        pass(&mut engine, term, &one, now).await;
        assert_eq!(hash(&mut redis, "away")["leaves"], "104000");
        assert_eq!(names(&mut redis), all);
    }
    pass(&mut engine, 2, &one, 104_000 + DAY).await;
    assert_eq!(names(&mut redis), BTreeSet::from(["stays".to_owned()]));
}

#[tokio::test]
async fn an_entry_that_returns_within_a_day_continues_and_has_missed_nothing() {
    let timing = "every = '1h'\ntimes = 3\ncatch_up = 'all'\ncatch_up_window = '1d'";
    let [both, one] = both_and_one(timing);
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let mut first = engine(&store);
    pass(&mut first, 1, &both, 100_000).await;
    pass(&mut first, 1, &both, 107_200).await;
    assert_eq!(redis.queue("q").len(), 2);
    // Two more fires would be due while the entry is away.
    pass(&mut first, 1, &one, 110_000).await;
    pass(&mut first, 1, &both, 114_401).await;
    assert_eq!(redis.queue("q").len(), 2);
    assert_eq!(hash(&mut redis, "away")["leaves"], "110000 114401");
    // The next leader does not catch up the fires that were due while the entry was away either.
    let mut second = engine(&store);
    pass(&mut second, 1, &both, 114_402).await;
    assert_eq!(redis.queue("q").len(), 2);
    // The third of three fires, in the same rhythm as before.
    pass(&mut second, 1, &both, 117_999).await;
    assert_eq!(redis.queue("q").len(), 2);
    pass(&mut second, 1, &both, 118_000).await;
    pass(&mut second, 1, &both, 121_600).await;
    assert_eq!(redis.queue("q").len(), 3);
    // Its records are not removed a day after it left.
    pass(&mut second, 1, &both, 110_000 + DAY).await;
    assert_eq!(hash(&mut redis, "fires")["leaves"], "3");
}

#[tokio::test]
async fn a_one_shot_that_another_schedule_lacks_fires_once() {
    let [both, one] = both_and_one("in = '5m'");
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    // Two schedulers lead in turn. The second one has another file.
    let (mut first, mut second) = (engine(&store), engine(&store));
    for term in 1..5 {
        let now = 100_000 + 1_000 * i64::try_from(term).unwrap();
        pass(&mut first, term, &both, now).await;
        pass(&mut first, term, &both, now + 300).await;
        pass(&mut second, term, &one, now + 500).await;
        assert_eq!(redis.queue("q").len(), 1);
    }
}

#[tokio::test]
async fn a_time_of_leaving_in_the_future_is_corrected() {
    let [_, one] = both_and_one("in = '5m'");
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let () = redis
        .connection
        .hset(format!("{OURS}:away"), "leaves", "4000000000")
        .unwrap();
    pass(&mut engine(&store), 1, &one, 100_000).await;
    assert_eq!(hash(&mut redis, "away")["leaves"], "100000");
}

#[tokio::test]
async fn the_records_of_an_entry_that_has_returned_are_not_removed() {
    let redis = Redis::start();
    let store = leader(&redis).await;
    let name = || "entry".to_owned();
    let changes = [
        RecordChange::First {
            name: name(),
            timing: "v1 manual".to_owned(),
        },
        RecordChange::Left {
            name: name(),
            was: None,
        },
    ];
    assert!(store.change_records(&changes, at(1_000)).await.unwrap());
    let returned = [RecordChange::Returned {
        name: name(),
        since: at(1_000),
    }];
    assert!(store.change_records(&returned, at(2_000)).await.unwrap());
    let forgotten = store.forget(&[(name(), at(1_000))]).await.unwrap();
    assert_eq!(forgotten, Some(vec![]));
    // A late request does not mark the entry as away again.
    assert!(store.change_records(&changes, at(1_000)).await.unwrap());
    let away = store.records().await.unwrap().away["entry"];
    assert_eq!((away.since, away.until), (at(1_000), Some(at(2_000))));
}

#[test]
fn invalid_records_are_ignored_and_logged() {
    let mut redis = Redis::start();
    let ends = ["8210266876799", "-8334601228800"];
    let values = [
        "7258118400",
        "9223372036854775807",
        "99999999999999999999",
        "-1",
        "1e300",
        "inf",
    ];
    let values: Vec<&str> = values.into_iter().chain(ends).chain(["", "junk"]).collect();
    let mut schedule = String::new();
    for (number, value) in values.iter().enumerate() {
        let name = format!("e{number}");
        writeln!(
            schedule,
            "[schedule.{name}]\nevery = '1s'\ntimes = 9\nqueue = '{name}'"
        )
        .unwrap();
        for (key, value) in [
            ("seen", format!("{value} v1 every 1")),
            ("fired", (*value).to_owned()),
            ("fires", (*value).to_owned()),
            ("away", format!("{value} {value}")),
            ("stamps", format!("{value} {value}")),
        ] {
            let () = redis
                .connection
                .hset(format!("{OURS}:{key}"), &name, value)
                .unwrap();
        }
        let stamp = ["+262142-12-31 23:59:59 +0000", "2200-01-01 00:00:00 +0000"][number % 2];
        let key = "resque:delayed:last_enqueued_at";
        let () = redis.connection.hset(key, &name, stamp).unwrap();
    }
    let () = redis
        .connection
        .hset(format!("{OURS}:fired"), b"\xff", b"\xff")
        .unwrap();
    let scheduler = Program::on(&redis).schedule(&schedule).start();
    for number in 0..values.len() {
        scheduler.wait_for(&format!("fired entry=\"e{number}\""));
    }
    scheduler.wait_for("invalid records of entries; ignoring them; remove these fields");
    scheduler.wait_for("resque:rescue_scheduler:seen e0");
    for (name, value) in hash(&mut redis, "seen") {
        let (at, timing) = value.split_once(' ').unwrap();
        let at: i64 = at.parse().unwrap();
        assert!((at - unix_now()).abs() < 60, "{name}: {value}");
        assert_eq!(timing, "v1 every 1");
    }
}

#[tokio::test]
async fn a_hundred_thousand_dynamic_entries_that_came_and_went_leave_nothing_after_a_day() {
    const ROUNDS: i64 = 100;
    const NAMES: i64 = 1_000;
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    let mut engine = engine(&store).with_dynamic(Context::default());
    let files = Arc::new(Schedule::default());
    let (entries, changed) = ("resque:persistent_schedules", "resque:schedules_changed");
    let start = 100_000;
    for round in 0..ROUNDS {
        let mut pipe = redis::pipe();
        // Some of them fire.
        let every = if round % 10 == 0 { "1m" } else { "1h" };
        let json = format!(r#"{{"every":["{every}",{{"times":5}}],"queue":"q"}}"#);
        for number in 0..NAMES {
            let name = format!("mail_{round}_{number}");
            pipe.hset(entries, &name, &json).ignore();
            pipe.sadd(changed, name).ignore();
        }
        if round > 0 {
            for number in 0..NAMES {
                let name = format!("mail_{}_{number}", round - 1);
                pipe.hdel(entries, &name).ignore();
                pipe.sadd(changed, name).ignore();
            }
        }
        let () = pipe.query(&mut redis.connection).unwrap();
        store.take_lease(LEASE, None, None).await.unwrap();
        pass(&mut engine, 1, &files, start + 61 * round).await;
        if round % 10 == 0 {
            pass(&mut engine, 1, &files, start + 61 * round + 60).await;
        }
    }
    let all = ROUNDS * NAMES;
    assert_eq!(i64::try_from(redis.queue("q").len()), Ok(all / 10));
    assert_eq!(i64::try_from(names(&mut redis).len()), Ok(all));
    let () = redis.connection.del(entries).unwrap();
    let last: Vec<String> = (0..NAMES)
        .map(|it| format!("mail_{}_{it}", ROUNDS - 1))
        .collect();
    let () = redis.connection.sadd(changed, last).unwrap();
    let end = start + 61 * ROUNDS;
    pass(&mut engine, 1, &files, end).await;
    let batches = all / 500;
    for second in 0..=batches {
        store.take_lease(LEASE, None, None).await.unwrap();
        pass(&mut engine, 1, &files, end + DAY + second).await;
    }
    assert_eq!(names(&mut redis), BTreeSet::new());
    let ours: Vec<String> = redis.connection.keys("resque:rescue_scheduler:*").unwrap();
    assert_eq!(ours, ["resque:rescue_scheduler:token"]);
}

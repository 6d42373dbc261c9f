//! What the resque-scheduler tabs of resque-web show: the same as with the gem. These tests read Redis as the tabs
//! do. (`wire.rs` tests the bytes of each key, `leadership.rs` the lock.)

use chrono::DateTime;
use nix::sys::signal::Signal;
use redis::Commands;
use rescue_scheduler::client::Client;
use serde_json::Value;

use crate::harness::{Program, Redis, eventually, unix_now};

/// A line of the Delayed tab: timestamp, number of jobs, class of the first job.
type Line = (i64, usize, String);

/// Reads the Delayed tab: the timestamps of the sorted set, in order, and their buckets.
fn delayed_tab(redis: &mut Redis) -> Vec<Line> {
    let redis = &mut redis.connection;
    let schedule = "resque:delayed_queue_schedule";
    let size: isize = redis.zcard(schedule).unwrap();
    let timestamps: Vec<i64> = redis.zrange(schedule, 0, size).unwrap();
    assert_eq!(timestamps.len(), usize::try_from(size).unwrap());
    let mut line = |timestamp| {
        let bucket = format!("resque:delayed:{timestamp}");
        let jobs: usize = redis.llen(&bucket).unwrap();
        let first: String = redis.lindex(&bucket, 0).unwrap();
        let first: Value = serde_json::from_str(&first).unwrap();
        (timestamp, jobs, first["class"].as_str().unwrap().to_owned())
    };
    timestamps.into_iter().map(&mut line).collect()
}

/// Reads the page of a delayed job: the buckets that it is in.
fn scheduled_at(redis: &mut Redis, item: &str) -> Vec<String> {
    let index = format!("resque:timestamps:{item}");
    redis.connection.smembers(index).unwrap()
}

fn once(redis: &Redis, at: &str) {
    let program = Program::on(redis).args(["--once", "--yes", "--at", at]);
    { program }.run().succeeded();
}

const NEW_YEAR: i64 = 4_102_444_800;
const MAIL: &str = r#"{"class":"Mail","args":[7],"queue":"mail"}"#;

#[tokio::test]
async fn the_delayed_tab_shows_waiting_jobs_and_no_moved_ones() {
    let mut redis = Redis::start();
    let client = Client::open(redis.url(), "resque").unwrap();
    for (hours, class, queue) in [
        (0, "Mail", "mail"),
        (0, "Report", "my reports"),
        (1, "Mail", "mail"),
    ] {
        let at = DateTime::from_timestamp(NEW_YEAR + hours * 3_600, 0).unwrap();
        client.enqueue_at(at, queue, class, &7).await.unwrap();
    }
    let all = [
        (NEW_YEAR, 2, "Mail".to_owned()),
        (NEW_YEAR + 3_600, 1, "Mail".to_owned()),
    ];
    let [_, second] = all.clone();
    assert_eq!(delayed_tab(&mut redis), all);

    // A leader that is running, and has moved another job, leaves these jobs alone.
    let mut scheduler = Program::on(&redis).start();
    scheduler.wait_for("became the leader holder=");
    redis.delay(unix_now(), r#"{"class":"Due","args":[],"queue":"due"}"#);
    eventually(|| redis.queue("due").pop().ok_or_else(|| scheduler.log()));
    assert_eq!(delayed_tab(&mut redis), all);
    let mut buckets = scheduled_at(&mut redis, MAIL);
    buckets.sort_unstable();
    assert_eq!(buckets, ["delayed:4102444800", "delayed:4102448400"]);
    scheduler.signal(Signal::SIGTERM);
    scheduler.ended();

    once(&redis, "2099-12-31T23:59:59Z");
    assert_eq!(delayed_tab(&mut redis), all);
    once(&redis, "2100-01-01T00:00:00Z");
    assert_eq!(delayed_tab(&mut redis), [second]);
    assert_eq!(scheduled_at(&mut redis, MAIL), ["delayed:4102448400"]);
    let first: bool = redis
        .connection
        .exists("resque:delayed:4102444800")
        .unwrap();
    assert!(!first, "the bucket is gone");
    once(&redis, "2100-01-01T01:00:00Z");
    assert_eq!(delayed_tab(&mut redis), []);
    assert_eq!(scheduled_at(&mut redis, MAIL), Vec::<String>::new());
}

/// Reads "last enqueued" of the Schedule tab, by entry.
fn last_enqueued(redis: &mut Redis) -> Vec<(String, String)> {
    let stamps = redis.connection.hgetall("resque:delayed:last_enqueued_at");
    stamps.unwrap()
}

#[test]
fn the_schedule_tab_shows_the_last_enqueue_of_each_entry_in_the_zone_of_the_scheduler() {
    const SCHEDULE: &str = "[schedule.minutely]\ncron = \"* * * * *\"\nqueue = \"q\"\n\
                            [schedule.\"Reports::Daily\"]\ncron = \"0 12 * * * UTC\"\nqueue = \"my reports\"\n";
    let mut redis = Redis::start();
    let mut shown_at = |time: &str| {
        let at = format!("2026-11-23T{time}Z");
        let program = Program::on(&redis).schedule(SCHEDULE);
        let program = program.env("TZ", "Europe/Stockholm");
        program
            .args(["--once", "--yes", "--at", &at])
            .run()
            .succeeded();
        let mut shown = last_enqueued(&mut redis);
        shown.sort_unstable();
        shown
    };
    let entry = |name: &str, time: &str| (name.to_owned(), format!("2026-11-23 {time} +0100"));
    assert_eq!(shown_at("11:57:30"), []);
    assert_eq!(shown_at("11:58:02"), [entry("minutely", "12:58:02")]);
    let both = ["Reports::Daily", "minutely"].map(|it| entry(it, "13:00:01"));
    assert_eq!(shown_at("12:00:01"), both);
    let later = [both[0].clone(), entry("minutely", "13:01:00")];
    assert_eq!(shown_at("12:01:00"), later);

    let mut queues: Vec<String> = redis.connection.smembers("resque:queues").unwrap();
    queues.sort_unstable();
    assert_eq!(queues, ["my reports", "q"], "the Queues tab");
}

#[test]
fn the_lock_has_the_key_of_the_gem_for_any_namespace_and_prefix() {
    for (prefix, key) in [
        ("", "myapp:resque:myapp:resque:resque_scheduler_master_lock"),
        (
            "MyApp:",
            "myapp:resque:myapp:resque:MyApp::resque_scheduler_master_lock",
        ),
    ] {
        let mut redis = Redis::start();
        let program = Program::on(&redis).env("RESQUE_NAMESPACE", "myapp:resque");
        let scheduler = program
            .env("RESQUE_SCHEDULER_MASTER_LOCK_PREFIX", prefix)
            .start();
        scheduler.wait_for("became the leader holder=");
        let holder: String = redis.connection.get(key).unwrap();
        assert_eq!(holder, scheduler.holder());
        let dump = redis.dump();
        let keys: Vec<_> = dump.as_object().unwrap().keys().collect();
        assert_eq!(keys, [key], "and nothing else where resque-web looks");
    }
}

#[test]
fn without_the_flag_dynamic_entries_are_left_to_ruby() {
    const HOURLY: &str = "[schedule.hourly]\nevery = \"1h\"\nqueue = \"q\"\n";
    const CONFIG: &str =
        r#"{"class":"SendEmail","args":"POC email subject","every":["1s"],"queue":"mail"}"#;
    let mut redis = Redis::start();
    let hash = "resque:persistent_schedules";
    let () = redis.connection.hset(hash, "send_emails", CONFIG).unwrap();
    let set = "resque:schedules_changed";
    let () = redis.connection.sadd(set, "send_emails").unwrap();
    let before = redis.dump();
    for at in ["12:00:00", "13:00:00", "14:00:00"] {
        let at = format!("2026-11-23T{at}Z");
        let program = Program::on(&redis).schedule(HOURLY);
        program
            .args(["--once", "--yes", "--at", &at])
            .run()
            .succeeded();
    }
    let scheduler = Program::on(&redis).schedule(HOURLY).start();
    scheduler.wait_for("became the leader holder=");
    let with_another = format!("{HOURLY}[schedule.each]\nevery = \"1s\"\nqueue = \"q\"\n");
    scheduler.program.write("schedule.toml", &with_another);
    scheduler.signal(Signal::SIGHUP);
    scheduler.wait_for("fired entry=\"each\"");

    let after = redis.dump();
    assert_eq!((&after[hash], &after[set]), (&before[hash], &before[set]));
    assert_eq!(redis.queue("mail"), Vec::<String>::new());
    assert!(redis.queue("q").len() >= 3);
}

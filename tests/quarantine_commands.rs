//! `quarantine list`, `show`, `retry` and `discard`.

use redis::Commands as _;
use serde_json::{Value, json};

use crate::harness::{Finished, Program, Redis};

const QUARANTINE: &str = "resque:rescue_scheduler:quarantine";

fn run(redis: &Redis, command: &[&str]) -> Finished {
    let program = Program::new().env("REDIS_URL", redis.url());
    program
        .more_args(&[&["quarantine"], command].concat())
        .run()
}

fn once(redis: &Redis) {
    Program::on(redis).args(["--once"]).run().succeeded();
}

/// A quarantine with a job that is no JSON, one without a queue, and one whose queue's key has the wrong type.
fn filled() -> Redis {
    let mut redis = Redis::start();
    let () = redis.connection.set("resque:queue:q", "no list").unwrap();
    redis.delay(1_000, b"\xff no JSON");
    redis.delay(1_000, r#"{"class":"NoQueue","args":[]}"#);
    redis.delay(2_000, r#"{"class":"Mail","args":[1.0e+20],"queue":"q"}"#);
    once(&redis);
    redis
}

fn records(redis: &mut Redis) -> Vec<Vec<u8>> {
    redis.connection.lrange(QUARANTINE, 0, -1).unwrap()
}

#[test]
fn jobs_in_quarantine_are_listed_with_their_reason() {
    let redis = filled();
    let listed = run(&redis, &["list", "--json"]).succeeded().output;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let jobs = listed["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 3);
    assert_eq!(jobs[0]["item"], "\u{fffd} no JSON");
    assert_eq!(
        (&jobs[1]["class"], &jobs[1]["queue"]),
        (&json!("NoQueue"), &Value::Null)
    );
    assert_eq!(jobs[2]["bucket"], "delayed:2000");
    assert!(
        jobs[2]["reason"]
            .as_str()
            .unwrap()
            .starts_with("its queue rejects it")
    );
    let text = run(&redis, &["list"]).succeeded().output;
    assert!(
        text.starts_with("NUMBER  SINCE                 BUCKET        CLASS    REASON\n1  "),
        "{text}"
    );
    let shown = run(&redis, &["show", "3"]).succeeded().output;
    assert!(
        shown.contains(r#"item    {"class":"Mail","args":[1.0e+20],"queue":"q"}"#),
        "{shown}"
    );
    assert_eq!(run(&redis, &["show", "4"]).status.code(), Some(3));
}

#[test]
fn a_job_that_is_retried_goes_back_to_its_bucket_and_from_there_to_its_queue() {
    let mut redis = filled();
    redis.command("DEL resque:queue:q");
    let done = run(&redis, &["retry", "3", "--yes", "--json"])
        .succeeded()
        .output;
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!((&done["matched"], &done["done"]), (&json!(1), &json!(1)));
    let item = r#"{"class":"Mail","args":[1.0e+20],"queue":"q"}"#;
    let bucket: Vec<String> = redis
        .connection
        .lrange("resque:delayed:2000", 0, -1)
        .unwrap();
    assert_eq!(bucket, [item]);
    let index: Vec<String> = redis
        .connection
        .smembers(format!("resque:timestamps:{item}"))
        .unwrap();
    assert_eq!(index, ["delayed:2000"]);
    assert_eq!(records(&mut redis).len(), 2);
    once(&redis);
    assert_eq!(redis.queue("q"), [r#"{"class":"Mail","args":[1.0e+20]}"#]);
}

#[test]
fn bytes_that_are_not_utf_8_go_back_as_they_were() {
    let mut redis = filled();
    run(&redis, &["retry", "--all", "--yes"]).succeeded();
    let bucket: Vec<Vec<u8>> = redis
        .connection
        .lrange("resque:delayed:1000", 0, -1)
        .unwrap();
    assert_eq!(bucket[0], b"\xff no JSON");
    assert_eq!(records(&mut redis), Vec::<Vec<u8>>::new());
}

#[test]
fn a_discarded_job_is_gone_and_the_others_stay() {
    let mut redis = filled();
    let before = records(&mut redis);
    let dry = run(&redis, &["discard", "--all", "--dry-run"]).succeeded();
    assert!(dry.log.contains("3 jobs match"), "{}", dry.log);
    assert_eq!(run(&redis, &["discard", "1"]).status.code(), Some(2));
    assert_eq!(run(&redis, &["discard"]).status.code(), Some(2));
    assert_eq!(
        run(&redis, &["discard", "9", "--yes"]).status.code(),
        Some(3)
    );
    assert_eq!(records(&mut redis), before);
    run(&redis, &["discard", "2", "1", "--yes"]).succeeded();
    assert_eq!(records(&mut redis), before[2..]);
    let exists: bool = redis.connection.exists("resque:delayed:1000").unwrap();
    assert!(!exists);
    let events = Program::new()
        .env("REDIS_URL", redis.url())
        .args(["events", "--jsonl"])
        .run();
    let newest: Value = serde_json::from_str(events.output.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&newest["verb"], &newest["count"]),
        (&json!("discarded_quarantined"), &json!(2))
    );
}

#[test]
fn what_is_too_large_to_be_read_stays_and_says_so() {
    let mut redis = Redis::start();
    redis.delay(1_000, "x".repeat(2_000));
    Program::on(&redis)
        .args(["--once", "--max-item-size", "1KB"])
        .run()
        .succeeded();
    let finished = run(&redis, &["retry", "1", "--yes"]);
    assert_eq!(finished.status.code(), Some(1));
    assert!(
        finished.log.contains("too large to be read"),
        "{}",
        finished.log
    );
    assert_eq!(records(&mut redis).len(), 1);
}

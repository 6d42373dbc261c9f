//! States of Redis recorded before and after the real resque-scheduler ran. This scheduler leaves the same bytes.

use chrono::TimeDelta;
use redis::Commands as _;
use rescue_scheduler::client::{ActiveJob, Client};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::harness::{Program, Redis, vectors};

#[derive(Deserialize)]
struct Case {
    group: String,
    name: String,
    namespace: String,
    #[serde(default)]
    now: i64,
    #[serde(default)]
    before: Value,
    after: Value,
    #[serde(default)]
    yaml: String,
}

/// Checks all cases of a group, and fails after the last one.
fn each(group: &str, check: impl Fn(&Case) -> Value) {
    let cases: Vec<Case> = serde_json::from_str(&vectors("wire.json")).unwrap();
    let cases = cases.iter().filter(|case| case.group == group);
    let (mut checked, mut failed) = (0, vec![]);
    for case in cases {
        let ours = check(case);
        if ours != case.after {
            failed.push(format!(
                "{}\n  theirs: {}\n  ours:   {ours}",
                case.name, case.after
            ));
        }
        checked += 1;
    }
    println!("{group}: {checked} cases checked, {} failed", failed.len());
    assert!(checked > 0 && failed.is_empty(), "{}", failed.join("\n"));
}

/// Returns Unix seconds in the format of `--at`.
fn rfc3339(seconds: i64) -> String {
    chrono::DateTime::from_timestamp(seconds, 0)
        .unwrap()
        .to_rfc3339()
}

#[test]
fn delayed_jobs_are_moved_as_the_gem_moves_them() {
    each("delayed", |case| {
        let mut redis = Redis::start();
        redis.seed(&case.before);
        let program = Program::on(&redis).args(["--namespace", &case.namespace]);
        program
            .args(["--once", "--yes", "--at", &rfc3339(case.now)])
            .run()
            .succeeded();
        redis.dump()
    });
}

#[test]
fn recurring_jobs_are_enqueued_as_the_gem_enqueues_them() {
    // The recorded gem enqueued at this time on command. Here, a fire is due in the same minute.
    const STAMP: &str = "2026-11-23T16:25:34Z";
    each("recurring", |case| {
        let mut redis = Redis::start();
        for at in ["2026-11-23T16:24:34Z", STAMP] {
            let program =
                Program::on(&redis).args(["resque_schedule.yml", "--once", "--yes", "--at", at]);
            program.write("resque_schedule.yml", &yaml_of(case));
            let mut program = program;
            program.run().succeeded();
        }
        redis.dump()
    });
}

/// Returns the schedule of the case, changed so that its entry fires and names its queue.
///
/// The gem was recorded with entries that never fire on their own, and reads the queue from the loaded Ruby class.
fn yaml_of(case: &Case) -> String {
    let text = case.yaml.replace("never:", "cron:");
    let queue = if text.contains("queue:") {
        ""
    } else {
        "  queue: some_queue\n"
    };
    format!("{}\n{queue}", text.trim_end())
}

#[test]
fn the_lock_is_held_as_the_gem_holds_it() {
    each("lock", |case| {
        let mut redis = Redis::start();
        let program = Program::on(&redis).args(["--namespace", &case.namespace]);
        let program = match case.name.split_once('=') {
            Some((_, prefix)) => program.env("RESQUE_SCHEDULER_MASTER_LOCK_PREFIX", prefix),
            None => program,
        };
        let scheduler = program.env("LOCK_TIMEOUT", "180").start();
        scheduler.wait_for("became the leader holder=");
        let mut ours = redis.dump();
        for (key, lock) in ours.as_object_mut().unwrap() {
            assert_eq!(lock["value"], scheduler.holder());
            lock["value"] = "<hostname>:<pid>".into();
            let left: i64 = redis.connection.ttl(key).unwrap();
            assert!((100..=180).contains(&left), "{left} s");
            lock["ttl_s"] = 180.into();
        }
        ours
    });
}

#[tokio::test]
async fn the_client_enqueues_as_resque_does() {
    let mut redis = Redis::start();
    let client = Client::open(redis.url(), "resque").unwrap();
    client
        .enqueue("direct", "Direct::Job", &(1, json!({"a": "b"})))
        .await
        .unwrap();
    let ours = redis.dump();
    each("enqueue", |_| ours.clone());
}

#[tokio::test]
async fn the_client_delays_as_resque_scheduler_does() {
    let mut redis = Redis::start();
    let client = Client::open(redis.url(), "resque").unwrap();
    let at = chrono::DateTime::from_timestamp(4_102_444_800, 123_000_000).unwrap();
    for _ in 0..2 {
        client
            .enqueue_at(at, "mail", "Mailer", &["to@example.com"])
            .await
            .unwrap();
    }
    let past = chrono::DateTime::from_timestamp(1, 0).unwrap();
    client.enqueue_at(past, "now", "Late", &()).await.unwrap();
    let item = r#"{"class":"Mailer","args":["to@example.com"],"queue":"mail"}"#;
    let expected = json!({
        "resque:delayed:4102444800": {"type": "list", "value": [item, item]},
        "resque:delayed_queue_schedule": {"type": "zset", "value": [["4102444800", 4_102_444_800_i64]]},
        format!("resque:timestamps:{item}"): {"type": "set", "value": ["delayed:4102444800"]},
        "resque:queue:now": {"type": "list", "value": [r#"{"class":"Late","args":[]}"#]},
        "resque:queues": {"type": "set", "value": ["now"]},
    });
    assert_eq!(redis.dump(), expected);
}

#[tokio::test]
async fn the_client_refuses_a_job_on_which_a_worker_would_exit() {
    let mut redis = Redis::start();
    let client = Client::open(redis.url(), "resque").unwrap();
    let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
    for (json, error) in [
        (&*nested(99), "nested too deep"),
        (r#"["\ud83d"]"#, "half a surrogate pair"),
        ("1e400", "number too large"),
    ] {
        let arguments = &RawValue::from_string(json.to_owned()).unwrap();
        let later = chrono::DateTime::from_timestamp(4_102_444_800, 0).unwrap();
        let job = ActiveJob::new("q", "C", arguments).map(|_| ());
        for refused in [
            client.enqueue("q", "C", arguments).await,
            client.enqueue_at(later, "q", "C", arguments).await,
            client
                .enqueue_in(TimeDelta::hours(1), "q", "C", arguments)
                .await,
            job,
        ] {
            let refused = refused.unwrap_err().to_string();
            let expected = format!("the arguments of C cannot be enqueued: {error}");
            assert!(refused.starts_with(&expected), "{refused}");
        }
    }
    assert_eq!(redis.dump(), json!({}));
    let deepest = RawValue::from_string(nested(98)).unwrap();
    client.enqueue("q", "C", &deepest).await.unwrap();
}

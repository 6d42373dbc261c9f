//! The commands of people who operate a scheduler, on a real one: `status`, `schedule …`, `history`, `events`.

use redis::Commands as _;
use serde_json::{Value, json};

use crate::harness::{Finished, Program, Redis, Scheduler, eventually};

const SCHEDULE: &str = "
[schedule.nightly]
cron = '30 3 * * *'
class = 'Nightly'
queue = 'reports'
args = ['all']
include_metadata = true
description = 'Yesterday, in figures'

[schedule.tick]
every = '1h'
queue = 'ticks'
";

/// A leader that has published its entries.
fn leader(redis: &Redis) -> Scheduler {
    let scheduler = Program::on(redis).schedule(SCHEDULE).start();
    scheduler.wait_for("became the leader");
    eventually(|| {
        let listed = run(redis, &["schedule", "list"]);
        let is_there = listed.output.contains("nightly");
        is_there.then_some(()).ok_or(listed.log)
    });
    scheduler
}

/// Runs a command on `redis`.
fn run(redis: &Redis, command: &[&str]) -> Finished {
    let program = Program::new().env("REDIS_URL", redis.url());
    program.more_args(command).run()
}

fn json_of(redis: &Redis, command: &[&str]) -> Value {
    let finished = run(redis, &[command, &["--json"]].concat()).succeeded();
    let answer: Value = serde_json::from_str(&finished.output).unwrap();
    assert_eq!(answer["schema_version"], 1);
    answer
}

#[test]
fn status_shows_leader_followers_entries_delayed_jobs_and_quarantine() {
    let mut redis = Redis::start();
    let leader = leader(&redis);
    let follower = Program::on(&redis).schedule(SCHEDULE).start();
    follower.wait_for("following");
    redis.delay(4_070_908_800, r#"{"class":"C","args":[],"queue":"q"}"#);
    redis.delay(4_070_908_800, r#"{"class":"D","args":[],"queue":"q"}"#);
    let text = run(&redis, &["status"]).succeeded().output;
    for part in [
        format!(":{}  version 0.1.0, running for", leader.pid()),
        format!(":{}  version 0.1.0, running for", follower.pid()),
        "entries     2, next: tick in".to_owned(),
        "delayed     2 waiting, 0 due, next in".to_owned(),
        "quarantine  0".to_owned(),
    ] {
        assert!(text.contains(&part), "no `{part}` in:\n{text}");
    }
    let answer = json_of(&redis, &["status"]);
    let of_leader = answer["leader"]["holder"].as_str().unwrap();
    assert!(
        of_leader.ends_with(&format!(":{}", leader.pid())),
        "{answer}"
    );
    assert_eq!(answer["schedulers"].as_array().unwrap().len(), 2);
    assert_eq!(answer["entries"]["next"]["entry"], "tick");
    assert_eq!(answer["delayed"]["waiting"], 2);
    assert_eq!(answer["delayed"]["oldest_due_at"], "2099-01-01T00:00:00Z");
    assert_eq!(answer["problems"], json!([]));
}

#[test]
fn status_check_exits_with_10_while_there_is_a_problem() {
    let mut redis = Redis::start();
    let nobody = run(&redis, &["status", "--check"]);
    assert_eq!(nobody.status.code(), Some(10));
    assert!(
        nobody.output.contains("no scheduler is running"),
        "{}",
        nobody.output
    );
    let _leader = leader(&redis);
    run(&redis, &["status", "--check"]).succeeded();
    let key = "resque:rescue_scheduler:quarantine";
    let () = redis.connection.rpush(key, "{}").unwrap();
    let finished = run(&redis, &["status", "--check"]);
    assert_eq!(finished.status.code(), Some(10));
    assert!(
        finished.output.contains("1 job in quarantine"),
        "{}",
        finished.output
    );
    assert_eq!(run(&redis, &["status"]).status.code(), Some(0));
}

#[test]
fn every_delayed_job_is_counted_however_many_buckets_there_are() {
    let mut redis = Redis::start();
    for at in 0..4_500_i64 {
        let bucket = format!("resque:delayed:{at}");
        let schedule = "resque:delayed_queue_schedule";
        redis::pipe()
            .rpush(&bucket, "{}")
            // Many members share a score, as others may write them.
            .zadd(schedule, at, at / 3_000)
            .exec(&mut redis.connection)
            .unwrap();
    }
    let () = redis.connection.rpush("resque:delayed:7", "{}").unwrap();
    let answer = json_of(&redis, &["status"]);
    assert_eq!(answer["delayed"]["waiting"], 4_501);
    assert_eq!(answer["delayed"]["due"], 4_501);
}

#[test]
fn an_entry_is_shown_with_its_job_timing_source_and_next_fire() {
    let redis = Redis::start();
    let _leader = leader(&redis);
    let entry = json_of(&redis, &["schedule", "show", "nightly"]);
    assert_eq!(entry["class"], "Nightly");
    assert_eq!(entry["queue"], "reports");
    assert_eq!(entry["timing"], "cron 30 3 * * * in UTC");
    assert_eq!(entry["description"], "Yesterday, in figures");
    assert!(
        entry["source"]
            .as_str()
            .unwrap()
            .ends_with("schedule.toml:2")
    );
    assert!(entry["next"].as_str().unwrap().ends_with("T03:30:00Z"));
    assert_eq!(entry["paused"], Value::Null);
    let list = json_of(&redis, &["schedule", "list", "--queue", "ticks"]);
    assert_eq!(list["entries"][0]["name"], "tick");
    assert_eq!(list["entries"].as_array().unwrap().len(), 1);
    let unknown = run(&redis, &["schedule", "show", "nigthly"]);
    assert_eq!(unknown.status.code(), Some(3));
    assert!(
        unknown.log.contains("did you mean `nightly`?"),
        "{}",
        unknown.log
    );
}

#[test]
fn a_triggered_job_is_enqueued_at_once_and_recorded() {
    let mut redis = Redis::start();
    let _leader = leader(&redis);
    let before = json_of(&redis, &["schedule", "show", "nightly"])["next"].clone();
    let command = [
        "schedule",
        "trigger",
        "nightly",
        "--reason",
        "asked for by sales",
    ];
    let done = json_of(&redis, &[&command[..], &["--actor", "ada@web-1"]].concat());
    assert_eq!(done["queue"], "reports");
    assert_eq!(redis.queue("reports"), [done["payload"].as_str().unwrap()]);
    let payload: Value = serde_json::from_str(done["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload["args"][0], "all");
    assert!(payload["args"][1]["scheduled_at"].as_i64().unwrap() > 1_700_000_000);
    let queues: Vec<String> = redis.connection.smembers("resque:queues").unwrap();
    assert_eq!(queues, ["reports"]);
    let entry = json_of(&redis, &["schedule", "show", "nightly"]);
    assert_eq!(entry["next"], before);
    assert_eq!(entry["last"]["outcome"], "triggered");
    let events = json_of(&redis, &["events"]);
    let newest = events["events"].as_array().unwrap().last().unwrap();
    assert_eq!(newest["verb"], "triggered");
    assert_eq!(newest["actor"], "ada@web-1");
    assert_eq!(newest["target"], "nightly");
    assert_eq!(newest["reason"], "asked for by sales");
}

#[test]
fn a_job_that_its_queue_rejects_is_not_triggered() {
    let mut redis = Redis::start();
    let _leader = leader(&redis);
    let () = redis
        .connection
        .set("resque:queue:reports", "no list")
        .unwrap();
    let finished = run(&redis, &["schedule", "trigger", "nightly"]);
    assert_eq!(finished.status.code(), Some(1));
    assert!(finished.log.contains("WRONGTYPE"), "{}", finished.log);
    assert!(
        finished.log.contains("resque:queue:reports"),
        "{}",
        finished.log
    );
    let history = run(&redis, &["history", "nightly"]);
    assert_eq!(history.status.code(), Some(3));
}

#[test]
fn a_paused_entry_says_who_paused_it_and_until_when() {
    let redis = Redis::start();
    let _leader = leader(&redis);
    let until = "2099-01-01T00:00:00Z";
    let pause = [
        "schedule",
        "pause",
        "tick",
        "--until",
        until,
        "--actor",
        "ada@web-1",
    ];
    run(&redis, &[&pause[..], &["--reason", "too many"]].concat()).succeeded();
    let paused = json_of(&redis, &["schedule", "list", "--paused"]);
    assert_eq!(paused["entries"].as_array().unwrap().len(), 1);
    let entry = &paused["entries"][0];
    assert_eq!(entry["paused"]["actor"], "ada@web-1");
    assert_eq!(entry["paused"]["reason"], "too many");
    assert_eq!(entry["paused"]["until"], until);
    assert_eq!(json_of(&redis, &["status"])["entries"]["paused"], 1);
    run(&redis, &["schedule", "resume", "tick"]).succeeded();
    run(&redis, &["schedule", "pause", "--all"]).succeeded();
    assert_eq!(json_of(&redis, &["status"])["entries"]["paused"], 2);
    assert_eq!(json_of(&redis, &["status"])["entries"]["next"], Value::Null);
    run(&redis, &["schedule", "resume", "--all"]).succeeded();
    let none = run(&redis, &["schedule", "list", "--paused"]);
    assert_eq!(none.status.code(), Some(3));
    let neither = run(&redis, &["schedule", "pause"]);
    assert_eq!(neither.status.code(), Some(2));
}

#[test]
fn a_history_is_listed_oldest_first_and_filtered() {
    let mut redis = Redis::start();
    let _leader = leader(&redis);
    let key = "resque:rescue_scheduler:history:tick";
    for record in [
        "enqueued 1795435200 1795435200 1 1795435200004 4",
        "missed 1795438800 1795446000 3 1795449600000 -",
        "rejected 1795449600 1795449600 1 1795449600001 - WRONGTYPE no list",
    ] {
        let () = redis.connection.lpush(key, record).unwrap();
    }
    let lines = run(&redis, &["history", "tick", "--jsonl"])
        .succeeded()
        .output;
    let records: Vec<Value> = lines
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    let expected = json!({
        "entry": "tick", "fire_time": "2026-11-23T15:00:00Z", "outcome": "missed",
        "at": "2026-11-23T16:00:00Z", "lateness_s": null, "reason": null,
        "first": "2026-11-23T13:00:00Z", "last": "2026-11-23T15:00:00Z", "count": 3,
    });
    assert_eq!(records[1], expected);
    assert_eq!(records[0]["lateness_s"], 0.004);
    assert_eq!(records[2]["reason"], "WRONGTYPE no list");
    let only = |filter: &[&str]| {
        let finished = run(&redis, &[&["history", "--jsonl"], filter].concat());
        finished.succeeded().output.lines().count()
    };
    assert_eq!(only(&["--outcome", "missed"]), 1);
    assert_eq!(only(&["--since", "2026-11-23T15:00:00Z"]), 2);
    let text = run(&redis, &["history", "tick"]).succeeded().output;
    insta::assert_snapshot!(text, @r"
    FIRE TIME             ENTRY  OUTCOME   FIRES  LATE     REASON
    2026-11-23T12:00:00Z  tick   enqueued  1      0.004 s
    2026-11-23T15:00:00Z  tick   missed    3
    2026-11-23T16:00:00Z  tick   rejected  1               WRONGTYPE no list
    ");
    let wrong = run(&redis, &["history", "--outcome", "lost"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn one_job_is_enqueued_now_or_for_later_with_its_bytes() {
    let mut redis = Redis::start();
    let now = [
        "enqueue",
        "Reports::Daily",
        r#"["all", 1.0e+20]"#,
        "--queue",
        "reports",
    ];
    let done = json_of(&redis, &now);
    assert_eq!(
        (&done["class"], &done["at"]),
        (&json!("Reports::Daily"), &Value::Null)
    );
    assert_eq!(
        redis.queue("reports"),
        [r#"{"class":"Reports::Daily","args":["all", 1.0e+20]}"#]
    );
    let later = ["enqueue", "Mail", r#"{"to":"ada"}"#, "--queue", "mail"];
    let done = json_of(
        &redis,
        &[
            &later[..],
            &["--at", "2099-01-01 01:00", "--timezone", "Europe/Paris"],
        ]
        .concat(),
    );
    assert_eq!(done["at"], "2099-01-01T00:00:00Z");
    let bucket: Vec<String> = redis
        .connection
        .lrange("resque:delayed:4070908800", 0, -1)
        .unwrap();
    assert_eq!(
        bucket,
        [r#"{"class":"Mail","args":[{"to":"ada"}],"queue":"mail"}"#]
    );
    let text = run(&redis, &[&later[..], &["--in", "1h"]].concat())
        .succeeded()
        .output;
    assert!(
        text.starts_with("enqueued Mail in queue mail for 20"),
        "{text}"
    );
    let active_job = [
        "enqueue",
        "ReportJob",
        "[1]",
        "--queue",
        "r",
        "--active-job",
        "--kwargs",
        r#"{"a":2}"#,
    ];
    let done = json_of(&redis, &active_job);
    let payload: Value = serde_json::from_str(&redis.queue("r")[0]).unwrap();
    assert_eq!(payload["args"][0]["job_id"], done["job_id"]);
    assert_eq!(
        payload["args"][0]["arguments"],
        json!([1, {"a": 2, "_aj_ruby2_keywords": ["a"]}])
    );
}

#[test]
fn a_job_that_a_worker_cannot_read_is_not_enqueued() {
    let mut redis = Redis::start();
    let nested = "[".repeat(200) + &"]".repeat(200);
    for (args, code) in [(&nested[..], 1), ("[1e400]", 1), ("[1", 2)] {
        let finished = run(&redis, &["enqueue", "C", args, "--queue", "q"]);
        assert_eq!(
            finished.status.code(),
            Some(code),
            "{args}: {}",
            finished.log
        );
    }
    assert_eq!(
        run(&redis, &["enqueue", "C", "--queue", ""]).status.code(),
        Some(2)
    );
    assert_eq!(redis.dump(), json!({}));
}

#[test]
fn what_cannot_be_read_is_a_problem_of_the_status_and_not_its_end() {
    let mut redis = Redis::start();
    let _leader = leader(&redis);
    let own = "resque:rescue_scheduler";
    for key in ["paused", "quarantine"] {
        let () = redis
            .connection
            .set(format!("{own}:{key}"), "wrong")
            .unwrap();
    }
    let answer = json_of(&redis, &["status"]);
    let problems = answer["problems"].to_string();
    assert!(problems.contains("rescue_scheduler:paused"), "{problems}");
    assert!(
        problems.contains("rescue_scheduler:quarantine"),
        "{problems}"
    );
    assert_eq!(answer["entries"]["total"], 2);
}

#[test]
fn the_pause_that_is_left_is_named() {
    let redis = Redis::start();
    let _leader = leader(&redis);
    let past = run(
        &redis,
        &["schedule", "pause", "tick", "--until", "2020-01-01"],
    );
    assert_eq!(past.status.code(), Some(2));
    run(
        &redis,
        &["schedule", "pause", "--all", "--actor", "ada@web-1"],
    )
    .succeeded();
    run(&redis, &["schedule", "pause", "tick", "--until", "in 1h"]).succeeded();
    let entry = json_of(&redis, &["schedule", "show", "tick"]);
    assert_eq!(entry["paused"]["until"], Value::Null);
    let resumed = run(&redis, &["schedule", "resume", "tick"])
        .succeeded()
        .output;
    assert!(resumed.contains("still paused by ada@web-1"), "{resumed}");
    run(&redis, &["schedule", "pause", "tick"]).succeeded();
    let resumed = run(&redis, &["schedule", "resume", "--all"])
        .succeeded()
        .output;
    assert!(
        resumed.contains("1 entry has a pause of its own"),
        "{resumed}"
    );
}

#[test]
fn a_trigger_neither_shortens_the_history_nor_hides_what_was_missed_before_it() {
    let mut redis = Redis::start();
    let _leader = leader(&redis);
    let key = "resque:rescue_scheduler:history:tick";
    let records: Vec<String> = (0..80)
        .map(|n| format!("enqueued {n} {n} 1 {n}004 4"))
        .collect();
    let () = redis.connection.rpush(key, &records).unwrap();
    run(&redis, &["schedule", "trigger", "tick"]).succeeded();
    let length: usize = redis.connection.llen(key).unwrap();
    assert_eq!(length, 81);
}

#[test]
fn names_with_control_characters_do_no_harm_to_a_terminal() {
    let mut redis = Redis::start();
    let _leader = leader(&redis);
    let () = redis
        .connection
        .hset("resque:rescue_scheduler:entries", "ev\x1b[31mil", "{}")
        .unwrap();
    let finished = run(&redis, &["schedule", "list"]);
    assert!(
        !finished.log.contains('\x1b') && !finished.output.contains('\x1b'),
        "{}",
        finished.log
    );
    assert!(
        finished.log.contains("ev\u{fffd}[31mil"),
        "{}",
        finished.log
    );
}

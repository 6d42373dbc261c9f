//! `delayed list`, `count`, `stats`, `remove`, `run-now` and `reschedule`.

use std::collections::BTreeMap;

use redis::Commands as _;
use serde_json::{Value, json};

use crate::harness::{Finished, Program, Redis, eventually};

/// Times far in the future, so that nothing is moved meanwhile.
const SOON: i64 = 4_070_908_800;
const LATER: i64 = SOON + 3_600;

fn run(redis: &Redis, command: &[&str]) -> Finished {
    let program = Program::new().env("REDIS_URL", redis.url());
    program.more_args(&[&["delayed"], command].concat()).run()
}

fn mail(user: u32) -> String {
    format!(r#"{{"class":"Mail","args":[{{"user_id":{user},"n":1.0e+20}}],"queue":"low"}}"#)
}

fn report(number: u32) -> String {
    format!(r#"{{"class":"Report","args":[{number}],"queue":"reports"}}"#)
}

/// Two mails and a report soon, a mail and a report later, and something that is no job.
fn filled() -> Redis {
    let mut redis = Redis::start();
    for (at, item) in [
        (SOON, mail(1)),
        (SOON, report(7)),
        (SOON, mail(2)),
        (LATER, mail(1)),
        (LATER, "no JSON".to_owned()),
        (LATER, report(8)),
    ] {
        redis.delay(at, &item);
        index(&mut redis, at, &item);
    }
    redis
}

/// The reverse index, as `enqueue_at` writes it.
fn index(redis: &mut Redis, at: i64, item: &str) {
    let key = format!("resque:timestamps:{item}");
    let () = redis.connection.sadd(key, format!("delayed:{at}")).unwrap();
}

fn bucket(redis: &mut Redis, at: i64) -> Vec<String> {
    let key = format!("resque:delayed:{at}");
    redis.connection.lrange(key, 0, -1).unwrap()
}

fn timestamps(redis: &mut Redis, item: &str) -> Vec<String> {
    let key = format!("resque:timestamps:{item}");
    let found: Vec<String> = redis.connection.smembers(key).unwrap();
    found
}

fn members(redis: &mut Redis) -> Vec<String> {
    let key = "resque:delayed_queue_schedule";
    redis.connection.zrange(key, 0, -1).unwrap()
}

#[test]
fn a_filter_matches_what_a_naive_reading_would() {
    let redis = filled();
    let count = |filter: &[&str]| {
        let finished = run(&redis, &[&["count"], filter].concat());
        finished.output.trim().parse::<usize>().unwrap()
    };
    assert_eq!(count(&[]), 6);
    assert_eq!(count(&["--class", "Mail"]), 3);
    assert_eq!(count(&["--queue", "reports"]), 2);
    assert_eq!(count(&["--where", "args.0.user_id=1"]), 2);
    assert_eq!(
        count(&["--where", "args.0.n=1.0e+20", "--where", "args.0.user_id=2"]),
        1
    );
    assert_eq!(count(&["--args", "[8]"]), 1);
    assert_eq!(count(&["--contains", "no JS"]), 1);
    assert_eq!(count(&["--before", &LATER.to_string()]), 3);
    assert_eq!(
        count(&["--after", "2099-01-01 01:00", "--class", "Mail"]),
        1
    );
    assert_eq!(count(&["--class", "Nobody"]), 0);
    for wrong in [["--where", "user"], ["--args", "[8"], ["--before", "soon"]] {
        let finished = run(&redis, &[&["count"], &wrong[..]].concat());
        assert_eq!(finished.status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_job_is_listed_with_its_time_class_queue_arguments_and_bytes() {
    let redis = filled();
    let lines = run(&redis, &["list", "--jsonl"]).succeeded().output;
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 6);
    // The number is not rounded.
    assert!(
        lines[0].contains(r#""args":[{"user_id":1,"n":1.0e+20}]"#),
        "{}",
        lines[0]
    );
    let first: Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(first["at"], "2099-01-01T00:00:00Z");
    assert_eq!(first["class"], "Mail");
    assert_eq!(first["queue"], "low");
    assert_eq!(first["item"], mail(1));
    let odd: Value = serde_json::from_str(lines[4]).unwrap();
    let expected = json!({
        "at": "2099-01-01T01:00:00Z", "class": null, "queue": null, "args": null, "item": "no JSON",
    });
    assert_eq!(odd, expected);
    let text = run(&redis, &["find", "--class", "Report", "--limit", "1"])
        .succeeded()
        .output;
    insta::assert_snapshot!(text, @r"
    DUE                   QUEUE    CLASS   ARGUMENTS
    2099-01-01T00:00:00Z  reports  Report  [7]
    ");
    assert_eq!(
        run(&redis, &["list", "--queue", "none"]).status.code(),
        Some(3)
    );
}

#[test]
fn every_job_of_many_buckets_and_of_a_long_bucket_is_listed_once() {
    let mut redis = Redis::start();
    let mut pipe = redis::pipe();
    for number in 0..7_000_u32 {
        // 2,500 jobs in one bucket, then one in each, of which many share a score.
        let member = SOON + i64::from(number.saturating_sub(2_500));
        let score = if number < 4_000 {
            member
        } else {
            SOON + 5_000 + i64::from(number / 1_500)
        };
        pipe.rpush(format!("resque:delayed:{member}"), report(number));
        pipe.zadd("resque:delayed_queue_schedule", member, score);
    }
    let () = pipe.query(&mut redis.connection).unwrap();
    let lines = run(&redis, &["list", "--jsonl"]).succeeded().output;
    let mut numbers: Vec<u64> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["args"][0]
                .as_u64()
                .unwrap()
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..7_000).collect::<Vec<_>>());
}

#[test]
fn removed_jobs_leave_nothing_behind_and_the_others_keep_their_order() {
    let mut redis = filled();
    let finished = run(&redis, &["remove", "--class", "Mail", "--yes", "--json"]).succeeded();
    let changed: Value = serde_json::from_str(&finished.output).unwrap();
    assert_eq!(
        (&changed["matched"], &changed["done"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(bucket(&mut redis, SOON), [report(7)]);
    assert_eq!(bucket(&mut redis, LATER), ["no JSON".to_owned(), report(8)]);
    assert_eq!(timestamps(&mut redis, &mail(1)), Vec::<String>::new());
    assert_eq!(
        timestamps(&mut redis, &report(7)),
        [format!("delayed:{SOON}")]
    );
    run(&redis, &["remove", "--before", &LATER.to_string(), "--yes"]).succeeded();
    assert_eq!(members(&mut redis), [LATER.to_string()]);
    let events = Program::new()
        .env("REDIS_URL", redis.url())
        .args(["events", "--jsonl"])
        .run();
    let newest: Value = serde_json::from_str(events.output.lines().last().unwrap()).unwrap();
    assert_eq!(newest["verb"], "removed_delayed");
    assert_eq!(newest["count"], 1);
}

#[test]
fn of_a_long_bucket_every_second_job_is_removed() {
    let mut redis = Redis::start();
    let items: Vec<String> = (0..3_000)
        .map(|n| if n % 2 == 0 { mail(n) } else { report(n) })
        .collect();
    let () = redis
        .connection
        .rpush(format!("resque:delayed:{SOON}"), &items)
        .unwrap();
    let () = redis
        .connection
        .zadd("resque:delayed_queue_schedule", SOON, SOON)
        .unwrap();
    let finished = run(&redis, &["remove", "--class", "Mail", "--yes"]).succeeded();
    assert_eq!(finished.output, "removed 1500 of 1500\n");
    let expected: Vec<String> = (0..3_000).filter(|n| n % 2 == 1).map(report).collect();
    assert_eq!(bucket(&mut redis, SOON), expected);
}

#[test]
fn jobs_that_run_now_are_enqueued_as_the_scheduler_would_enqueue_them() {
    let mut redis = filled();
    run(&redis, &["run-now", "--where", "args.0.user_id=1", "--yes"]).succeeded();
    let payload = r#"{"class":"Mail","args":[{"user_id":1,"n":1.0e+20}]}"#;
    assert_eq!(redis.queue("low"), [payload, payload]);
    let queues: Vec<String> = redis.connection.smembers("resque:queues").unwrap();
    assert_eq!(queues, ["low"]);
    assert_eq!(bucket(&mut redis, SOON), [report(7), mail(2)]);
    assert_eq!(timestamps(&mut redis, &mail(1)), Vec::<String>::new());
}

#[test]
fn jobs_that_cannot_be_enqueued_stay() {
    let mut redis = filled();
    let () = redis
        .connection
        .set("resque:queue:reports", "no list")
        .unwrap();
    let finished = run(&redis, &["run-now", "--all", "--yes"]);
    assert_eq!(finished.status.code(), Some(1));
    assert!(
        finished
            .output
            .contains("enqueued 3 of 6, 3 could not be changed"),
        "{}",
        finished.output
    );
    assert!(
        finished.log.contains("WRONGTYPE") && finished.log.contains("not JSON"),
        "{}",
        finished.log
    );
    assert_eq!(bucket(&mut redis, SOON), [report(7)]);
    assert_eq!(bucket(&mut redis, LATER), ["no JSON".to_owned(), report(8)]);
    assert_eq!(redis.queue("low").len(), 3);
}

#[test]
fn rescheduled_jobs_keep_their_bytes() {
    let mut redis = filled();
    let to = SOON + 60;
    run(
        &redis,
        &[
            "reschedule",
            "--class",
            "Mail",
            "--to",
            &to.to_string(),
            "--yes",
        ],
    )
    .succeeded();
    assert_eq!(bucket(&mut redis, to), [mail(1), mail(2), mail(1)]);
    assert_eq!(timestamps(&mut redis, &mail(1)), [format!("delayed:{to}")]);
    assert_eq!(bucket(&mut redis, SOON), [report(7)]);
    run(
        &redis,
        &["reschedule", "--queue", "reports", "--by", "-1h", "--yes"],
    )
    .succeeded();
    assert_eq!(bucket(&mut redis, SOON - 3_600), [report(7)]);
    assert_eq!(bucket(&mut redis, SOON), [report(8)]);
    assert_eq!(bucket(&mut redis, LATER), ["no JSON"]);
    let expected = [SOON - 3_600, SOON, to, LATER].map(|it| it.to_string());
    assert_eq!(members(&mut redis), expected);
    // To where they are: nothing changes.
    run(
        &redis,
        &[
            "reschedule",
            "--class",
            "Mail",
            "--to",
            &to.to_string(),
            "--yes",
        ],
    )
    .succeeded();
    assert_eq!(bucket(&mut redis, to).len(), 3);
}

#[test]
fn nothing_changes_without_a_filter_a_confirmation_or_a_match() {
    let mut redis = filled();
    let before = redis.dump();
    let no_filter = run(&redis, &["remove", "--yes"]);
    assert_eq!(no_filter.status.code(), Some(2));
    assert!(no_filter.log.contains("--all"), "{}", no_filter.log);
    let no_terminal = run(&redis, &["remove", "--all"]);
    assert_eq!(no_terminal.status.code(), Some(2));
    assert!(
        no_terminal.log.contains("pass --yes"),
        "{}",
        no_terminal.log
    );
    let dry = run(&redis, &["remove", "--all", "--dry-run"]).succeeded();
    assert!(dry.log.contains("6 jobs match"), "{}", dry.log);
    assert_eq!(dry.log.lines().count(), 6, "{}", dry.log);
    let nothing = run(&redis, &["remove", "--class", "Nobody", "--yes"]);
    assert_eq!(nothing.status.code(), Some(3));
    assert_eq!(redis.dump(), before);
}

#[test]
fn jobs_are_counted_by_when_they_are_due_and_by_class() {
    let redis = filled();
    let stats = run(&redis, &["stats", "--json"]).succeeded().output;
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["waiting"], 6);
    assert_eq!(stats["due"][3], json!({"within_s": null, "jobs": 6}));
    assert_eq!(
        stats["classes"][0],
        json!({"class": "Mail", "queue": "low", "jobs": 3})
    );
    let text = run(&redis, &["stats"]).succeeded().output;
    assert!(text.contains("later       6     ████"), "{text}");
}

#[test]
fn jobs_that_a_scheduler_moves_meanwhile_are_moved_or_removed_and_never_both() {
    let mut redis = Redis::start();
    let past = 1_000_000_000_i64;
    let mut pipe = redis::pipe();
    for number in 0..20_000_u32 {
        let member = past + i64::from(number / 10);
        pipe.rpush(format!("resque:delayed:{member}"), report(number));
        pipe.zadd("resque:delayed_queue_schedule", member, member);
    }
    let () = pipe.query(&mut redis.connection).unwrap();
    let scheduler = Program::on(&redis).start();
    let finished = run(&redis, &["remove", "--class", "Report", "--yes", "--json"]).succeeded();
    let changed: Value = serde_json::from_str(&finished.output).unwrap();
    let removed = usize::try_from(changed["done"].as_u64().unwrap()).unwrap();
    let mut moved = vec![];
    eventually(|| {
        moved = redis.queue("reports");
        let all = moved.len() + removed == 20_000;
        all.then_some(()).ok_or_else(|| {
            format!(
                "{} moved, {removed} removed: {}",
                moved.len(),
                scheduler.log()
            )
        })
    });
    let mut times: BTreeMap<&String, usize> = BTreeMap::new();
    for payload in &moved {
        *times.entry(payload).or_insert(0) += 1;
    }
    assert!(times.values().all(|times| *times == 1));
    assert_eq!(members(&mut redis), Vec::<String>::new());
}

#[test]
fn an_empty_text_is_no_filter() {
    let mut redis = filled();
    let before = redis.dump();
    let finished = run(&redis, &["remove", "--contains", "", "--yes"]);
    assert_eq!(finished.status.code(), Some(2));
    assert_eq!(redis.dump(), before);
}

#[test]
fn a_job_whose_queue_cannot_be_named_is_not_enqueued_twice() {
    let mut redis = filled();
    let () = redis.connection.set("resque:queues", "no set").unwrap();
    let finished = run(&redis, &["run-now", "--class", "Report", "--yes"]);
    assert_eq!(finished.status.code(), Some(1));
    assert_eq!(redis.queue("reports"), Vec::<String>::new());
    assert_eq!(bucket(&mut redis, SOON).len(), 3);
}

#[test]
fn what_was_done_is_done_even_if_it_cannot_be_recorded() {
    let mut redis = filled();
    let events = "resque:rescue_scheduler:events";
    let () = redis.connection.set(events, "no list").unwrap();
    let finished = run(&redis, &["remove", "--class", "Report", "--yes"]).succeeded();
    assert_eq!(finished.output, "removed 2 of 2\n");
    assert!(
        finished.log.contains("not recorded in the events"),
        "{}",
        finished.log
    );
}

#[test]
fn a_job_without_a_time_is_not_rescheduled_by_a_length() {
    let mut redis = Redis::start();
    redis.delay(1_795_454_398_000_000, mail(1));
    let listed = run(&redis, &["list", "--jsonl"]).succeeded().output;
    assert!(listed.contains(r#""at":null"#), "{listed}");
    let finished = run(&redis, &["reschedule", "--by", "1h", "--all", "--yes"]);
    assert_eq!(finished.status.code(), Some(1));
    assert!(finished.log.contains("it has no time"), "{}", finished.log);
    assert_eq!(bucket(&mut redis, 1_795_454_398_000_000), [mail(1)]);
}

#[test]
fn arguments_with_line_breaks_are_one_line_of_json() {
    let mut redis = Redis::start();
    redis.delay(SOON, "{\"class\":\"A\",\"args\":[\n1\r\n],\"queue\":\"q\"}");
    let lines = run(&redis, &["list", "--jsonl"]).succeeded().output;
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

#[test]
fn jobs_that_left_a_long_bucket_meanwhile_do_not_hold_redis() {
    let mut redis = Redis::start();
    let items: Vec<String> = (0..6_000).map(report).collect();
    let key = format!("resque:delayed:{SOON}");
    let () = redis.connection.rpush(&key, &items).unwrap();
    let () = redis
        .connection
        .zadd("resque:delayed_queue_schedule", SOON, SOON)
        .unwrap();
    redis.command("CONFIG SET slowlog-log-slower-than 100000");
    // One batch a second: meanwhile the head of the bucket goes.
    let program = Program::new().env("REDIS_URL", redis.url());
    let remove = [
        "delayed", "remove", "--all", "--yes", "--rate", "2000", "--json",
    ];
    let url = redis.url().to_owned();
    let thief = std::thread::spawn(move || {
        let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
        let key = format!("resque:delayed:{SOON}");
        loop {
            let left: i64 = connection.llen(&key).unwrap();
            if left < 6_000 {
                break;
            }
        }
        let taken: Vec<String> = connection
            .lpop(&key, std::num::NonZeroUsize::new(3_000))
            .unwrap();
        taken.len()
    });
    let finished = program.args(remove).run().succeeded();
    let changed: Value = serde_json::from_str(&finished.output).unwrap();
    let (done, gone) = (
        changed["done"].as_u64().unwrap(),
        changed["gone"].as_u64().unwrap(),
    );
    assert_eq!(usize::try_from(gone).unwrap(), thief.join().unwrap());
    assert_eq!(done + gone, 6_000);
    assert_eq!(bucket(&mut redis, SOON), Vec::<String>::new());
    let slow: i64 = redis::cmd("SLOWLOG")
        .arg("LEN")
        .query(&mut redis.connection)
        .unwrap();
    assert_eq!(slow, 0, "a call took longer than 0.1 s");
}

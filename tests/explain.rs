//! `explain`: why an entry fired, or did not fire, at a time.

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use redis::Commands as _;
use rescue_scheduler::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::harness::{Finished, Program, Redis, eventually};

const ENTRY: &str = "[schedule.report]\ncron = '0 * * * *'\nqueue = 'q'\n";
const EVENTS: &str = "resque:rescue_scheduler:events";

/// The full hour so many hours after the next one.
fn hour(number: i64) -> DateTime<Utc> {
    let now = SystemClock.now() + TimeDelta::hours(1);
    let next = now.duration_trunc(TimeDelta::hours(1));
    next.unwrap() + TimeDelta::hours(number)
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// A Redis whose leader has published the entry, with more lines, and has stopped.
fn published(lines: &str) -> Redis {
    let redis = Redis::start();
    let mut scheduler = Program::on(&redis)
        .schedule(&format!("{ENTRY}{lines}"))
        .start();
    scheduler.wait_for("became the leader");
    eventually(|| {
        let listed = run(&redis, &["schedule", "show", "report"]);
        let is_there = listed.status.code() == Some(0);
        is_there.then_some(()).ok_or(listed.log)
    });
    scheduler.signal(nix::sys::signal::Signal::SIGTERM);
    scheduler.ended();
    redis
}

fn run(redis: &Redis, command: &[&str]) -> Finished {
    let program = Program::new().env("REDIS_URL", redis.url());
    program.more_args(command).run()
}

/// Lets a scheduler with the entry do what is due at that time.
fn pass(redis: &Redis, lines: &str, at: DateTime<Utc>) {
    let program = Program::on(redis).schedule(&format!("{ENTRY}{lines}"));
    program.args(["--once", "--yes", "--at", &text(at)]).run();
}

/// The explanation for that time, its exit code, and all reasons in one text.
fn explain(redis: &Redis, at: DateTime<Utc>) -> (Value, i32, String) {
    let finished = run(redis, &["explain", "report", "--at", &text(at), "--json"]);
    let answer: Value = serde_json::from_str(&finished.output).unwrap();
    let reasons = answer["reasons"].as_array().unwrap().iter();
    let reasons: Vec<&str> = reasons.map(|it| it["text"].as_str().unwrap()).collect();
    let all = reasons.join("\n");
    (answer, finished.status.code().unwrap(), all)
}

fn event(redis: &mut Redis, at: DateTime<Utc>, actor: &str, verb: &str, reason: Option<&str>) {
    let event =
        json!({"at": at.timestamp_millis(), "actor": actor, "verb": verb, "reason": reason});
    let () = redis.connection.lpush(EVENTS, event.to_string()).unwrap();
}

#[test]
fn a_fire_on_time_says_when_and_where_it_was_enqueued() {
    let redis = published("");
    pass(&redis, "", hour(0));
    let (answer, code, reasons) = explain(&redis, hour(0));
    assert_eq!((answer["outcome"].as_str(), code), (Some("enqueued"), 0));
    assert!(
        reasons.contains("cron 0 * * * * in UTC names this time"),
        "{reasons}"
    );
    assert!(reasons.contains("enqueued in queue `q`"), "{reasons}");
    assert_eq!(answer["before"], text(hour(-1)));
    assert_eq!(answer["after"], text(hour(1)));
}

#[test]
fn a_fire_that_was_missed_says_who_did_not_lead_and_what_the_policy_was() {
    let mut redis = published("catch_up_window = '10m'\n");
    pass(&redis, "catch_up_window = '10m'\n", hour(0));
    event(&mut redis, hour(0), "web-1:7", "took_lease", None);
    event(
        &mut redis,
        hour(0) + TimeDelta::minutes(50),
        "web-1:7",
        "lost_lease",
        Some("Redis unavailable"),
    );
    event(
        &mut redis,
        hour(1) + TimeDelta::minutes(30),
        "web-2:8",
        "took_lease",
        None,
    );
    pass(
        &redis,
        "catch_up_window = '10m'\n",
        hour(1) + TimeDelta::minutes(30),
    );
    let (answer, code, reasons) = explain(&redis, hour(1));
    assert_eq!((answer["outcome"].as_str(), code), (Some("missed"), 10));
    for part in [
        "nobody was the leader since",
        "web-1:7 released or lost the lease (Redis unavailable)",
        "when web-2:8 took over",
        "the fire was 30 m late; catch_up = \"latest\", catch_up_window = \"10m\"",
    ] {
        assert!(reasons.contains(part), "no `{part}` in {reasons}");
    }
    assert_eq!(
        answer["advice"][0],
        "rescue-scheduler schedule trigger report"
    );
}

#[test]
fn fires_that_share_a_record_of_missed_ones_are_told_from_the_times_between_them() {
    let lines = "catch_up_window = '10h'\n";
    let mut redis = published(lines);
    pass(&redis, lines, hour(0));
    pass(&redis, lines, hour(4) + TimeDelta::minutes(20));
    let second = hour(2).timestamp();
    let record = format!("triggered {second} {second} 1 {second}004 4");
    let history = "resque:rescue_scheduler:history:report";
    let () = redis.connection.lpush(history, record).unwrap();
    let (answer, code, _) = explain(&redis, hour(2));
    assert_eq!((answer["outcome"].as_str(), code), (Some("missed"), 10));
    assert_eq!(
        answer["advice"][1],
        "or let it make up for all missed fires: catch_up = \"all\""
    );
    let (answer, _, _) = explain(&redis, hour(2) + TimeDelta::minutes(20));
    assert_eq!(answer["outcome"], "not_in_timing");
    let (answer, _, _) = explain(&redis, hour(4));
    assert_eq!(answer["outcome"], "caught_up");
}

#[test]
fn a_fire_that_was_caught_up_says_how_late_it_was() {
    let redis = published("catch_up_window = '1h'\n");
    pass(&redis, "catch_up_window = '1h'\n", hour(0));
    pass(
        &redis,
        "catch_up_window = '1h'\n",
        hour(1) + TimeDelta::minutes(17),
    );
    let (answer, code, reasons) = explain(&redis, hour(1));
    assert_eq!((answer["outcome"].as_str(), code), (Some("caught_up"), 0));
    assert!(reasons.contains("17 m late"), "{reasons}");
}

#[test]
fn a_skipped_a_paused_and_a_rejected_fire_say_why() {
    let lines = "overlap = 'skip_if_queued'\n";
    let mut redis = published(lines);
    pass(&redis, lines, hour(0));
    pass(&redis, lines, hour(1));
    run(
        &redis,
        &["schedule", "pause", "report", "--actor", "ada@web-1"],
    )
    .succeeded();
    pass(&redis, lines, hour(2));
    let (answer, code, reasons) = explain(&redis, hour(1));
    assert_eq!(
        (answer["outcome"].as_str(), code),
        (Some("skipped_queued"), 10)
    );
    assert!(
        reasons.contains("an identical job was waiting in the queue"),
        "{reasons}"
    );
    let (answer, _, reasons) = explain(&redis, hour(2));
    assert_eq!(answer["outcome"], "paused");
    assert!(
        reasons.contains("paused by ada@web-1 until it is resumed"),
        "{reasons}"
    );
    run(&redis, &["schedule", "resume", "report"]).succeeded();
    redis.command("DEL resque:queue:q");
    redis.command("SET resque:queue:q no-list");
    pass(&redis, lines, hour(3));
    let (answer, code, reasons) = explain(&redis, hour(3));
    assert_eq!((answer["outcome"].as_str(), code), (Some("rejected"), 10));
    assert!(reasons.contains("WRONGTYPE"), "{reasons}");
}

#[test]
fn a_time_that_the_timing_does_not_name_shows_its_neighbours() {
    let redis = published("starts_at = '2020-01-01'\n");
    let at = hour(0) + TimeDelta::minutes(7);
    let (answer, code, reasons) = explain(&redis, at);
    assert_eq!(
        (answer["outcome"].as_str(), code),
        (Some("not_in_timing"), 10)
    );
    assert_eq!(
        (&answer["before"], &answer["after"]),
        (&json!(text(hour(0))), &json!(text(hour(1))))
    );
    assert!(
        reasons.contains("does not name this time; the one before was"),
        "{reasons}"
    );
    let (_, _, reasons) = explain(&redis, "2019-06-01T12:00:00Z".parse().unwrap());
    assert!(
        reasons.contains("the entry starts at 2020-01-01T00:00:00Z"),
        "{reasons}"
    );
}

#[test]
fn a_fire_to_come_one_from_before_and_one_beyond_the_history_are_told_apart() {
    let mut redis = published("");
    let (answer, _, _) = explain(&redis, hour(5));
    assert_eq!(answer["outcome"], "still_to_come");
    let (answer, _, reasons) = explain(&redis, hour(-500));
    assert_eq!(answer["outcome"], "not_seen_yet");
    assert!(reasons.contains("first saw this entry"), "{reasons}");
    let seen = "resque:rescue_scheduler:seen";
    let () = redis
        .connection
        .hset(seen, "report", "1000000000 v1 cron 0 * * * * UTC")
        .unwrap();
    let at = hour(0).timestamp();
    let record = format!("enqueued {at} {at} 1 {at}004 4");
    let () = redis
        .connection
        .lpush("resque:rescue_scheduler:history:report", record)
        .unwrap();
    let (answer, code, reasons) = explain(&redis, hour(-500));
    assert_eq!((answer["outcome"].as_str(), code), (Some("unknown"), 10));
    assert!(reasons.contains("the history reaches back to"), "{reasons}");
    let unknown = run(&redis, &["explain", "raport"]);
    assert_eq!(unknown.status.code(), Some(3));
}

#[test]
fn people_read_the_answer_as_a_sentence_and_a_table() {
    let redis = published("description = 'x'\ntimezone = 'Asia/Kolkata'\n");
    let finished = run(
        &redis,
        &[
            "explain",
            "report",
            "--at",
            "2020-02-03 04:05",
            "--timezone",
            "Asia/Kolkata",
        ],
    );
    assert_eq!(finished.status.code(), Some(10));
    insta::assert_snapshot!(finished.output, @r"
    report does not fire at 2020-02-03 04:05:00 +05:30 (2020-02-02T22:35:00Z): not in its timing

    timing  cron 0 * * * * in Asia/Kolkata does not name this time; the one before was 2020-02-03 04:00:00 +05:30, the next is 2020-02-03 05:00:00 +05:30
    timing  times are in Asia/Kolkata; UTC is 2020-02-02T22:35:00Z
    ");
}

//! The outcomes of fires in the history of an entry, and paused entries.

use std::sync::Arc;

use redis::Commands;
use rescue_scheduler::{
    clock::StoppedClock,
    core::{firing::outcome::Outcome, time::zone::Zone},
    engine::{Tick, recurring::Recurring},
    events::Events,
    store::{Address, Console, Credentials, Keys, Pause},
};

use crate::{
    harness::{Program, Redis},
    store::{leader, schedule},
};

const HISTORY: &str = "resque:rescue_scheduler:history:e";
const PAUSED: &str = "resque:rescue_scheduler:paused";

/// Returns an hourly entry `e` with additional lines.
fn entry(lines: &str) -> String {
    format!("[schedule.e]\ncron = '0 * * * *'\nqueue = 'q'\n{lines}\n")
}

/// Runs `--once` at this time on 2026-11-23, with a history of at most `history` records. Returns its log.
fn at_with(redis: &Redis, schedule: &str, time: &str, history: &str) -> String {
    let time = format!("2026-11-23T{time}Z");
    let program = Program::on(redis).schedule(schedule);
    let arguments = ["--once", "--yes", "--at", &time, "--history", history];
    let finished = program.args(arguments).run();
    finished.log
}

fn at(redis: &Redis, schedule: &str, time: &str) -> String {
    at_with(redis, schedule, time, "50")
}

/// Returns the records of the entry, oldest first: outcome and fire times as hours and minutes, without the time of
/// recording.
fn history(redis: &mut Redis) -> Vec<String> {
    let records: Vec<String> = redis.connection.lrange(HISTORY, 0, -1).unwrap();
    let record = |record: &String| {
        let parts: Vec<&str> = record.splitn(7, ' ').collect();
        let [outcome, first, last, count, _, rest @ ..] = &parts[..] else {
            panic!("{record}");
        };
        let time = |seconds: &str| {
            let at = chrono::DateTime::from_timestamp(seconds.parse().unwrap(), 0);
            at.unwrap().format("%H:%M").to_string()
        };
        let rest = rest.join(" ");
        format!("{outcome} {} {} {count} {rest}", time(first), time(last))
    };
    records.iter().rev().map(record).collect()
}

#[test]
fn the_history_of_an_entry_has_the_outcome_of_each_fire() {
    let schedule = entry("overlap = 'skip_if_queued'");
    let mut redis = Redis::start();
    at(&redis, &schedule, "11:30:00");
    at(&redis, &schedule, "12:00:01.250");
    // A job is still in the queue.
    at(&redis, &schedule, "13:00:00");
    at(&redis, &schedule, "14:00:00");
    let () = redis.connection.del("resque:queue:q").unwrap();
    at(&redis, &schedule, "15:03:00");
    let () = redis.connection.del("resque:queue:q").unwrap();
    let log = at(&redis, &schedule, "18:30:00");
    assert!(log.contains("missed"), "{log}");
    // The outcome is the same, and there are more missed fires by then.
    at(&redis, &schedule, "18:40:00");
    at(&redis, &schedule, "19:30:00");
    at(&redis, &schedule, "20:00:00");
    let expected = [
        "enqueued 12:00 12:00 1 1250",
        "skipped_queued 13:00 14:00 2 -",
        "caught_up 15:00 15:00 1 180000",
        "missed 16:00 19:00 4 -",
        "enqueued 20:00 20:00 1 0",
    ];
    assert_eq!(history(&mut redis), expected);
    let newest: String = redis.connection.lindex(HISTORY, 0).unwrap();
    assert_eq!(newest, "enqueued 1795464000 1795464000 1 1795464000000 0");
}

#[test]
fn a_rejected_fire_is_retried_until_it_is_enqueued_or_missed() {
    let schedule = entry("catch_up_window = '1h'");
    let mut redis = Redis::start();
    at(&redis, &schedule, "11:30:00");
    let () = redis.connection.set("resque:queue:q", "no list").unwrap();
    at(&redis, &schedule, "12:00:00");
    at(&redis, &schedule, "12:00:02");
    let rejected = "rejected 12:00 12:00 1 - WRONGTYPE";
    let found = history(&mut redis);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(rejected), "{found:?}");
    let () = redis.connection.del("resque:queue:q").unwrap();
    at(&redis, &schedule, "12:00:04");
    assert_eq!(history(&mut redis)[1..], ["enqueued 12:00 12:00 1 4000"]);
}

#[test]
fn a_history_is_limited_to_its_maximum_length() {
    let mut redis = Redis::start();
    let schedule = entry("");
    at(&redis, &schedule, "11:30:00");
    for hour in 12..16 {
        at_with(&redis, &schedule, &format!("{hour}:00:00"), "2");
    }
    let newest = ["enqueued 14:00 14:00 1 0", "enqueued 15:00 15:00 1 0"];
    assert_eq!(history(&mut redis), newest);
    at_with(&redis, &schedule, "16:00:00", "0");
    assert_eq!(history(&mut redis), newest);
    assert_eq!(redis.queue("q").len(), 5);
}

#[test]
fn keys_of_the_wrong_type_stop_no_fire_and_pause_nothing() {
    let mut redis = Redis::start();
    let schedule = entry("");
    at(&redis, &schedule, "11:30:00");
    let () = redis.connection.set(HISTORY, "no list").unwrap();
    let () = redis.connection.set(PAUSED, "no hash").unwrap();
    at(&redis, &schedule, "12:00:00");
    at(&redis, &schedule, "14:30:00");
    at(&redis, &schedule, "15:00:00");
    assert_eq!(redis.queue("q").len(), 2);
}

#[test]
fn fires_that_are_due_while_the_entry_is_paused_are_recorded_and_not_caught_up() {
    for name in ["e", "*"] {
        let mut redis = Redis::start();
        let schedule = entry("catch_up = 'all'\ncatch_up_window = '1d'");
        at(&redis, &schedule, "11:30:00");
        let () = redis.connection.hset(PAUSED, name, "{}").unwrap();
        let log = at(&redis, &schedule, "12:00:00");
        assert!(log.contains("paused"), "{log}");
        at(&redis, &schedule, "14:00:00");
        let () = redis.connection.hdel(PAUSED, name).unwrap();
        at(&redis, &schedule, "15:00:00");
        assert_eq!(redis.queue("q").len(), 1);
        let expected = ["paused 12:00 14:00 3 -", "enqueued 15:00 15:00 1 0"];
        assert_eq!(history(&mut redis), expected, "{name}");
    }
}

#[test]
fn fires_at_the_end_of_a_pause_and_later_are_enqueued() {
    let mut redis = Redis::start();
    let schedule = entry("catch_up = 'all'\ncatch_up_window = '1d'");
    at(&redis, &schedule, "11:30:00");
    // The pause of the entry ends at 13:00. The pause of all entries ended a day earlier.
    let pause = r#"{"reason":"said \"until\":5","until":1795438800}"#;
    let () = redis.connection.hset(PAUSED, "e", pause).unwrap();
    let over = r#"{"until":1795352400}"#;
    let () = redis.connection.hset(PAUSED, "*", over).unwrap();
    at(&redis, &schedule, "14:30:00");
    let expected = [
        "paused 12:00 12:00 1 -",
        "caught_up 13:00 13:00 1 5400000",
        "caught_up 14:00 14:00 1 1800000",
    ];
    assert_eq!(history(&mut redis), expected);
}

#[test]
fn a_pause_with_an_invalid_end_has_no_end() {
    for pause in [r#"{"until":nan}"#, r#"{"until":"soon"}"#, "no JSON", "7"] {
        let mut redis = Redis::start();
        let schedule = entry("");
        at(&redis, &schedule, "11:30:00");
        let () = redis.connection.hset(PAUSED, "e", pause).unwrap();
        at(&redis, &schedule, "12:00:00");
        assert_eq!(history(&mut redis), ["paused 12:00 12:00 1 -"], "{pause}");
    }
}

#[test]
fn decisions_that_are_repeated_after_a_restart_are_recorded_once() {
    let mut redis = Redis::start();
    let schedule = entry("catch_up = 'none'");
    at(&redis, &schedule, "11:30:00");
    let missed = "missed 12:00 14:00 3 -";
    let log = at(&redis, &schedule, "14:30:00");
    let expected = "count=3 outcome=\"missed\" catch_up=\"none\" catch_up_window_s=300";
    assert!(log.contains(expected), "{log}");
    assert_eq!(history(&mut redis), [missed]);
    // A failover reverted the fence but not the history.
    let () = redis
        .connection
        .hdel("resque:rescue_scheduler:fired", "e")
        .unwrap();
    at(&redis, &schedule, "14:31:00");
    assert_eq!(history(&mut redis), [missed]);
    at(&redis, &schedule, "15:00:00");
    assert_eq!(history(&mut redis), [missed, "enqueued 15:00 15:00 1 0"]);
}

#[test]
fn missed_fires_of_a_paused_entry_are_recorded_as_paused() {
    let mut redis = Redis::start();
    let schedule = entry("");
    at(&redis, &schedule, "11:30:00");
    let () = redis.connection.hset(PAUSED, "e", "{}").unwrap();
    let log = at(&redis, &schedule, "14:30:00");
    assert!(log.contains("paused") && !log.contains("missed"), "{log}");
    assert_eq!(history(&mut redis), ["paused 12:00 14:00 3 -"]);
    // The pause is over, and no policy catches up the paused fires.
    let () = redis.connection.del(PAUSED).unwrap();
    let all = entry("catch_up = 'all'\ncatch_up_window = '1d'");
    at(&redis, &all, "14:40:00");
    assert_eq!(redis.queue("q").len(), 0);
    assert_eq!(history(&mut redis), ["paused 12:00 14:00 3 -"]);
}

#[test]
fn missed_fires_of_which_the_last_was_due_after_the_pause_are_missed() {
    let mut redis = Redis::start();
    let schedule = entry("");
    at(&redis, &schedule, "11:30:00");
    // Until 13:00.
    let pause = r#"{"until":1795438800}"#;
    let () = redis.connection.hset(PAUSED, "e", pause).unwrap();
    at(&redis, &schedule, "14:30:00");
    assert_eq!(history(&mut redis), ["missed 12:00 14:00 3 -"]);
}

#[test]
fn an_invalid_record_stops_no_fire() {
    for record in [
        "missed 1795435200 1795435201 x 1 -",
        "rejected 1 2 x 3 -",
        "no record",
    ] {
        let mut redis = Redis::start();
        let schedule = format!(
            "{}[schedule.z]\ncron = '0 * * * *'\nqueue = 'z'\n",
            entry("")
        );
        at(&redis, &schedule, "11:30:00");
        let () = redis.connection.lpush(HISTORY, record).unwrap();
        at(&redis, &schedule, "14:30:00");
        let () = redis.connection.set("resque:queue:q", "no list").unwrap();
        at(&redis, &schedule, "15:00:00");
        assert_eq!(redis.queue("z").len(), 1, "{record}");
    }
}

#[tokio::test]
async fn fires_do_not_wait_for_the_records_of_other_entries_missed_fires() {
    let mut redis = Redis::start();
    let entry =
        |number| format!("[schedule.e{number}]\nevery = '1h'\ncatch_up = 'none'\nqueue = 'q'\n");
    let many: String = (0..2_000).map(entry).collect();
    let schedule = schedule(&format!(
        "{many}[schedule.tick]\nevery = '1s'\nqueue = 'ticks'\n"
    ));
    let at = |seconds| chrono::DateTime::from_timestamp(seconds, 0).unwrap();
    let (clock, now) = (StoppedClock(at(200_000)), at(200_000));
    let store = leader(&redis).await;
    let mut recurring = Recurring::new(store, Arc::new(clock), Zone::UTC, Events::default());
    recurring.take_up(&schedule, at(100_000)).await.unwrap();
    let recorded = |redis: &mut Redis, entry: &str| -> bool {
        let key = format!("resque:rescue_scheduler:history:{entry}");
        redis.connection.exists(key).unwrap()
    };
    while redis.queue("ticks").is_empty() {
        assert_eq!(recurring.tick(now).await.unwrap(), Tick::More);
        assert!(!recorded(&mut redis, "e0"));
    }
    while recurring.tick(now).await.unwrap() == Tick::More {}
    assert!(recorded(&mut redis, "e0") && recorded(&mut redis, "e1999"));
}

#[test]
fn a_pause_of_all_entries_is_kept_when_an_entry_of_that_name_is_forgotten() {
    let mut redis = Redis::start();
    let both = format!("{}[schedule.'*']\nevery = '1d'\nqueue = 'q'\n", entry(""));
    at(&redis, &both, "11:30:00");
    let () = redis.connection.hset(PAUSED, "*", "{}").unwrap();
    let away = "resque:rescue_scheduler:away";
    let () = redis.connection.hset(away, "*", 1_700_000_000).unwrap();
    let log = Program::on(&redis).schedule(&entry("")).start();
    log.wait_for("removed the records");
    let paused: bool = redis.connection.hexists(PAUSED, "*").unwrap();
    assert!(paused);
}

#[test]
fn an_entry_is_paused_and_resumed_while_the_scheduler_runs() {
    let redis = Redis::start();
    let scheduler = Program::on(&redis)
        .schedule("[schedule.e]\nevery = '1s'\nqueue = 'q'\ncatch_up = 'all'")
        .start();
    scheduler.wait_for("fired entry=\"e\"");
    let keys = Keys::new("resque", None);
    let address = Address::parse(redis.url(), Credentials::default()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let console = Console::open(&address, keys).unwrap();
        let pause = Pause {
            reason: Some("a test".to_owned()),
            ..Pause::default()
        };
        console.pause(Some("e"), &pause).await.unwrap();
        scheduler.wait_for("paused entry=\"e\"");
        let paused = console.history("e", 1).await.unwrap();
        assert_eq!(paused[0].outcome, Outcome::Paused);
        console.resume(Some("e")).await.unwrap();
        let after = scheduler.log().len();
        crate::harness::eventually(|| {
            let log = scheduler.log();
            let fired = log[after..].contains("fired entry=\"e\"");
            fired.then_some(()).ok_or(log)
        });
        let records = console.history("e", 50).await.unwrap();
        let outcomes: Vec<Outcome> = records.iter().map(|it| it.outcome).collect();
        let paused = outcomes.iter().filter(|it| **it == Outcome::Paused);
        assert_eq!(paused.count(), 1, "{records:?}");
        assert_eq!(outcomes[0], Outcome::Enqueued, "{records:?}");
    });
}

#[test]
fn a_job_that_was_triggered_meanwhile_hides_no_missed_fire() {
    let mut redis = Redis::start();
    let schedule = entry("catch_up = 'none'");
    at(&redis, &schedule, "11:30:00");
    at(&redis, &schedule, "13:30:00");
    // Triggered at 14:10, while no scheduler was running.
    let triggered = "triggered 1795443000 1795443000 1 1795443000000 0";
    let () = redis.connection.lpush(HISTORY, triggered).unwrap();
    at(&redis, &schedule, "14:30:00");
    let expected = ["missed 12:00 14:00 3 -", "triggered 14:10 14:10 1 0"];
    assert_eq!(history(&mut redis), expected);
}

//! Dynamic entries: set, changed and removed by apps while the scheduler runs.

use std::{collections::BTreeMap, time::Duration};

use nix::sys::signal::Signal;
use redis::Commands as _;
use rescue_scheduler::{
    client::{Client, ClientError},
    clock::{Clock as _, SystemClock},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::harness::{Program, Redis, Scheduler, eventually, vectors};

const ENTRIES: &str = "resque:persistent_schedules";
const CHANGED: &str = "resque:schedules_changed";
const FILE: &str = "[schedule.of_the_file]\nevery = '1h'\nqueue = 'q'\n\
    [schedule.both]\nevery = '2h'\nqueue = 'q'\n";

fn program(redis: &Redis) -> Program {
    Program::on(redis).schedule(FILE).args(["--dynamic"])
}

/// Sets an entry with the commands of resque-scheduler.
fn set(redis: &mut Redis, name: &str, entry: &Value) {
    let mut set = redis::pipe();
    set.hset(ENTRIES, name, entry.to_string())
        .sadd(CHANGED, name);
    let () = set.query(&mut redis.connection).unwrap();
}

fn remove(redis: &mut Redis, name: &str) {
    let mut remove = redis::pipe();
    remove.hdel(ENTRIES, name).sadd(CHANGED, name);
    let () = remove.query(&mut redis.connection).unwrap();
}

fn changed(redis: &mut Redis) -> Vec<String> {
    let names: Vec<Vec<u8>> = redis.connection.smembers(CHANGED).unwrap();
    let text = |name: &Vec<u8>| String::from_utf8_lossy(name).into_owned();
    names.iter().map(text).collect()
}

fn records(redis: &mut Redis, name: &str) -> BTreeMap<String, String> {
    let key = format!("resque:rescue_scheduler:{name}");
    redis.connection.hgetall(key).unwrap()
}

/// Returns the entries in force: when each was first seen, and the text of its record.
fn seen(redis: &mut Redis) -> BTreeMap<String, (i64, String)> {
    let (seen, away) = (records(redis, "seen"), records(redis, "away"));
    let left = |name: &String| away.get(name).is_some_and(|times| !times.contains(' '));
    let in_force = seen.into_iter().filter(|(name, _)| !left(name));
    let parts = in_force.map(|(name, value)| {
        let (at, timing) = value.split_once(' ').unwrap();
        (name, (at.parse().unwrap(), timing.to_owned()))
    });
    parts.collect()
}

fn timings(redis: &mut Redis) -> Vec<(String, String)> {
    let seen = seen(redis).into_iter();
    seen.map(|(name, (_, timing))| (name, timing)).collect()
}

/// Waits until these entries are in force and the changes are acknowledged. Returns how long that took.
#[track_caller]
fn in_force(redis: &mut Redis, expected: &[(&str, &str)]) -> Duration {
    let start = SystemClock.monotonic();
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, timing)| ((*name).to_owned(), (*timing).to_owned()))
        .collect();
    eventually(|| {
        let found = (timings(redis), changed(redis));
        if found == (expected.clone(), vec![]) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
    SystemClock.monotonic() - start
}

fn leading(program: Program) -> Scheduler {
    let scheduler = program.start();
    scheduler.wait_for("became the leader holder=");
    scheduler
}

#[test]
fn entries_are_set_changed_and_removed_while_it_runs() {
    let mut redis = Redis::start();
    set(&mut redis, "early", &json!({"every": "3h", "queue": "q"}));
    let scheduler = leading(program(&redis));
    let files = [
        ("both", "v1 every 7200"),
        ("early", "v1 every 10800"),
        ("of_the_file", "v1 every 3600"),
    ];
    in_force(&mut redis, &files);
    // An entry that stays keeps the time when it was first seen, from which intervals are counted. Set it to a time
    // long ago.
    let long_ago = "1000000000 v1 every 3600";
    let () = redis
        .connection
        .hset("resque:rescue_scheduler:seen", "of_the_file", long_ago)
        .unwrap();
    let mut slowest = Duration::ZERO;
    let mut step = |redis: &mut Redis, expected: &[(&str, &str)]| {
        slowest = slowest.max(in_force(redis, expected));
        assert_eq!(seen(redis)["of_the_file"].0, 1_000_000_000);
    };
    set(
        &mut redis,
        "both",
        &json!({"cron": "0 0 1 1 *", "queue": "q"}),
    );
    let both = ("both", "v1 cron 0 0 1 1 * UTC");
    step(&mut redis, &[both, files[1], files[2]]);
    set(
        &mut redis,
        "early",
        &json!({"every": ["4h", {"first_in": 300}], "queue": "q"}),
    );
    step(
        &mut redis,
        &[both, ("early", "v1 every 14400 first in 300"), files[2]],
    );
    remove(&mut redis, "early");
    step(&mut redis, &[both, files[2]]);
    // The entry of the file is in force again.
    remove(&mut redis, "both");
    step(&mut redis, &[files[0], files[2]]);
    println!("slowest change: {slowest:?}");
    scheduler.wait_for("dynamic entries changed");
}

#[test]
fn dynamic_entries_survive_a_restart_and_a_failover() {
    let mut redis = Redis::start();
    let mut first = leading(program(&redis));
    set(&mut redis, "later", &json!({"every": "3h", "queue": "q"}));
    let all = [
        ("both", "v1 every 7200"),
        ("later", "v1 every 10800"),
        ("of_the_file", "v1 every 3600"),
    ];
    in_force(&mut redis, &all);
    let before = seen(&mut redis);
    let second = program(&redis).start();
    second.wait_for("following");
    first.signal(Signal::SIGTERM);
    first.ended();
    second
        .wait_for("became the leader holder=")
        .status(" healthy");
    second.wait_for("entry=\"later\" timing=\"every 3h\"");
    assert_eq!(seen(&mut redis), before);
    // This entry changes while no scheduler is the leader.
    drop(second);
    set(&mut redis, "later", &json!({"every": "5h", "queue": "q"}));
    let () = redis
        .connection
        .del("resque:resque:resque_scheduler_master_lock")
        .unwrap();
    let _third = leading(program(&redis));
    in_force(&mut redis, &[all[0], ("later", "v1 every 18000"), all[2]]);
}

#[test]
fn dynamic_entries_fire_with_the_bytes_of_their_args() {
    let mut redis = Redis::start();
    let json = r#"{"class":"Mail","args":[ 1.0e2, "é" ],"cron":"* * * * *","queue":"mail"}"#;
    let () = redis.connection.hset(ENTRIES, "mail", json).unwrap();
    for at in ["2026-11-23T11:59:30Z", "2026-11-23T12:00:01Z"] {
        let mut program =
            Program::on(&redis).args(["--dynamic-schedule", "--once", "--yes", "--at", at]);
        program.run().succeeded();
    }
    assert_eq!(
        redis.queue("mail"),
        [r#"{"class":"Mail","args":[ 1.0e2, "é" ]}"#]
    );
}

#[test]
fn an_invalid_dynamic_entry_is_logged_and_stops_nothing_else() {
    let mut redis = Redis::start();
    let scheduler = leading(program(&redis));
    set(&mut redis, "both", &json!({"every": "soon", "queue": "q"}));
    set(
        &mut redis,
        "good",
        &json!({"every": "3h", "queue": "q", "persist": true}),
    );
    let () = redis.connection.hset(ENTRIES, b"\xff", "{}").unwrap();
    let () = redis.connection.sadd(CHANGED, b"\xff").unwrap();
    in_force(
        &mut redis,
        &[
            ("both", "v1 every 7200"),
            ("good", "v1 every 10800"),
            ("of_the_file", "v1 every 3600"),
        ],
    );
    scheduler.wait_for(
        "dynamic entry rejected; its previous version, if any, stays in force entry=\"both\" errors=\"$.every: ",
    );
    scheduler.wait_for("$.persist: `persist` is ignored");
    scheduler.status("dynamic entries with errors: 2, the first is both ($.every: ");
    remove(&mut redis, "both");
    let () = redis.connection.hdel(ENTRIES, b"\xff").unwrap();
    let () = redis.connection.sadd(CHANGED, b"\xff").unwrap();
    in_force(
        &mut redis,
        &[
            ("both", "v1 every 7200"),
            ("good", "v1 every 10800"),
            ("of_the_file", "v1 every 3600"),
        ],
    );
    scheduler.status(" healthy");
    // The status stays healthy when the key is gone.
    let () = redis.connection.set(CHANGED, "text").unwrap();
    scheduler.status("schedules_changed");
    let () = redis.connection.del(CHANGED).unwrap();
    scheduler.status(" healthy");
}

/// An entry that fires only once.
const ONCE: &str = r#"{"every":["1s",{"times":1}],"queue":"once"}"#;

/// Runs a scheduler long enough for an entry with `every = "1s"` to fire.
fn runs_for_a_while(redis: &mut Redis) {
    let mut scheduler = leading(program(redis));
    set(redis, "ticks", &json!({"every": "1s", "queue": "ticks"}));
    let before = redis.queue("ticks").len();
    eventually(|| match redis.queue("ticks").len() {
        more if more >= before + 2 => Ok(()),
        few => Err(format!("{few}\n{}", scheduler.log())),
    });
    scheduler.signal(Signal::SIGTERM);
    scheduler.ended();
}

#[test]
fn entries_that_cannot_be_read_keep_their_records() {
    let mut redis = Redis::start();
    let () = redis.connection.hset(ENTRIES, "once", ONCE).unwrap();
    runs_for_a_while(&mut redis);
    assert_eq!(redis.queue("once").len(), 1);
    // The hash has the wrong type for a while.
    let () = redis.connection.rename(ENTRIES, "resque:away").unwrap();
    let () = redis.connection.set(ENTRIES, "junk").unwrap();
    let () = redis.connection.del(CHANGED).unwrap();
    let mut scheduler = leading(program(&redis));
    scheduler.wait_for("cannot read dynamic entries");
    scheduler.status("unhealthy");
    scheduler.signal(Signal::SIGTERM);
    scheduler.ended();
    let () = redis.connection.rename("resque:away", ENTRIES).unwrap();
    runs_for_a_while(&mut redis);
    // The entry has an error for a while.
    set(&mut redis, "once", &json!({"every": "soon"}));
    runs_for_a_while(&mut redis);
    set(&mut redis, "once", &serde_json::from_str(ONCE).unwrap());
    runs_for_a_while(&mut redis);
    assert_eq!(redis.queue("once").len(), 1);
}

#[test]
fn dynamic_entries_come_into_force_when_their_key_can_be_read_again() {
    let mut redis = Redis::start();
    let () = redis.connection.set(ENTRIES, "junk").unwrap();
    let scheduler = leading(program(&redis));
    scheduler.status("persistent_schedules");
    // The problem is logged once, and still in the status later.
    scheduler.status("unhealthy");
    let () = redis.connection.del(ENTRIES).unwrap();
    let json = r#"{"every":"3h","queue":"q"}"#;
    let () = redis.connection.hset(ENTRIES, "later", json).unwrap();
    in_force(
        &mut redis,
        &[
            ("both", "v1 every 7200"),
            ("later", "v1 every 10800"),
            ("of_the_file", "v1 every 3600"),
        ],
    );
    scheduler.status(" healthy");
    assert_eq!(
        scheduler
            .log()
            .matches("cannot read dynamic entries")
            .count(),
        1
    );
}

#[test]
fn changes_that_cannot_be_acknowledged_are_in_force_and_logged_once() {
    let mut redis = Redis::start();
    redis.command("ACL SETUSER few on >pw ~* &* +@all -srem");
    let url = format!("{}?user=few&pass=pw", redis.url());
    let program = Program::new().schedule(FILE);
    let scheduler = leading(program.args(["--dynamic", "--redis-url", &url]));
    for name in ["x", "y", "z"] {
        set(&mut redis, name, &json!({"every": "3h", "queue": "q"}));
        eventually(|| {
            let is_there = seen(&mut redis).contains_key(name);
            is_there.then_some(()).ok_or_else(|| scheduler.log())
        });
    }
    scheduler.status("unhealthy");
    assert_eq!(
        scheduler
            .log()
            .matches("cannot acknowledge changes of dynamic entries")
            .count(),
        1
    );
    redis.command("ACL SETUSER few +srem");
    eventually(|| match changed(&mut redis) {
        none if none.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
    scheduler.status(" healthy");
}

#[test]
fn an_entry_that_returns_within_a_day_continues_where_it_was_even_if_it_was_the_only_one() {
    let mut redis = Redis::start();
    let scheduler = leading(Program::on(&redis).args(["--dynamic"]));
    let entry = json!({"every": "3h", "queue": "q"});
    set(&mut redis, "only", &entry);
    in_force(&mut redis, &[("only", "v1 every 10800")]);
    let long_ago = "1000000000 v1 every 10800";
    let seen_hash = "resque:rescue_scheduler:seen";
    let () = redis.connection.hset(seen_hash, "only", long_ago).unwrap();
    remove(&mut redis, "only");
    in_force(&mut redis, &[]);
    scheduler.wait_for("entries left the schedule; removing their records in a day unless they return count=1 entries=\"only\"");
    set(&mut redis, "only", &entry);
    in_force(&mut redis, &[("only", "v1 every 10800")]);
    assert_eq!(seen(&mut redis)["only"].0, 1_000_000_000);
}

#[test]
fn the_records_of_an_entry_that_left_a_day_ago_are_removed() {
    let mut redis = Redis::start();
    let away = "resque:rescue_scheduler:away";
    let day_ago = SystemClock.now().timestamp() - 86_401;
    for (key, value) in [
        ("resque:rescue_scheduler:seen", "1000000000 v1 every 60"),
        ("resque:rescue_scheduler:fired", "1000000060"),
        ("resque:rescue_scheduler:stamps", "1000000060 1000000060"),
        (
            "resque:delayed:last_enqueued_at",
            "2001-09-09 01:47:40 +0000",
        ),
    ] {
        for name in ["left", "leaves"] {
            let () = redis.connection.hset(key, name, value).unwrap();
        }
    }
    let () = redis.connection.hset(away, "left", day_ago).unwrap();
    let scheduler = leading(program(&redis));
    scheduler.wait_for("entries left the schedule; removing their records in a day unless they return count=1 entries=\"leaves\"");
    scheduler
        .wait_for("removed the records of entries that left the schedule count=1 entries=\"left\"");
    for name in ["seen", "fired", "stamps", "away"] {
        let records = records(&mut redis, name);
        assert!(!records.contains_key("left"), "{name}");
        assert!(records.contains_key("leaves"), "{name}");
    }
    let stamps: Vec<String> = redis
        .connection
        .hkeys("resque:delayed:last_enqueued_at")
        .unwrap();
    assert_eq!(stamps, ["leaves"]);
    scheduler.status(" healthy");
}

#[test]
fn once_fails_if_a_dynamic_entry_is_invalid() {
    let mut redis = Redis::start();
    set(&mut redis, "bad", &json!({"every": "soon", "queue": "q"}));
    let finished = Program::on(&redis).args(["--dynamic", "--once"]).run();
    assert_eq!(finished.status.code(), Some(1));
    let told =
        "not everything was done: dynamic entries with errors: 1, the first is bad ($.every: ";
    assert!(finished.log.contains(told), "{}", finished.log);
}

#[test]
fn without_the_flag_dynamic_entries_are_ignored() {
    let mut redis = Redis::start();
    set(&mut redis, "later", &json!({"every": "3h", "queue": "q"}));
    let _scheduler = leading(Program::on(&redis).schedule(FILE));
    let files = ["both", "of_the_file"];
    eventually(|| {
        let seen = seen(&mut redis);
        if seen.keys().eq(files) {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    });
    assert_eq!(changed(&mut redis), ["later"]);
}

/// The same arguments as a Ruby hash.
#[derive(serde::Serialize)]
struct SendEmail {
    class: &'static str,
    args: &'static str,
    every: (&'static str, Value),
    queue: &'static str,
}

#[tokio::test]
async fn the_client_sets_and_removes_dynamic_entries_as_ruby_does() {
    #[derive(Deserialize)]
    struct Case {
        group: String,
        name: String,
        after: Value,
    }
    let cases: Vec<Case> = serde_json::from_str(&vectors("wire.json")).unwrap();
    let after = |name| {
        &cases
            .iter()
            .find(|it| it.group == "dynamic" && it.name == name)
            .unwrap()
            .after
    };
    let mut redis = Redis::start();
    let client = Client::open(redis.url(), "resque").unwrap();
    let entry = SendEmail {
        class: "SendEmail",
        args: "POC email subject",
        every: ("1h", json!({"first_in": 300})),
        queue: "mail",
    };
    client.set_schedule("send_emails", &entry).await.unwrap();
    assert_eq!(redis.dump(), *after("set_schedule with persist"));
    client.remove_schedule("send_emails").await.unwrap();
    assert_eq!(redis.dump(), *after("remove_schedule"));
    let refused = client
        .set_schedule("bad", &json!({"every": "soon", "queue": ""}))
        .await;
    let Err(ClientError::Entry { mistakes, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        mistakes,
        "$.every: `soon` is not a number; $.queue: the queue is empty"
    );
    // An error counts even if the entry is for another environment.
    let elsewhere = json!({"every": "soon", "queue": "q", "rails_env": "production"});
    let refused = client.set_schedule("bad", &elsewhere).await;
    assert!(
        matches!(refused, Err(ClientError::Entry { .. })),
        "{refused:?}"
    );
    assert_eq!(redis.dump(), *after("remove_schedule"));
}

//! Invalid items, keys of the wrong type, and unusual members: nothing is lost, the problem is logged, and other
//! jobs are moved.

use std::time::Duration;

use redis::Commands;
use serde_json::Value;

use crate::harness::{
    Program, QUARANTINE, Redis, Scheduler, eventually, item, payload,
    ticks::{EACH_SECOND, goes_on_without_a_gap, wait_for_fires},
};

fn started(redis: &Redis) -> Scheduler {
    Program::on(redis).schedule(EACH_SECOND).start()
}

/// Waits until `q` has the jobs up to `last`, each once and in order.
#[track_caller]
fn q_holds(redis: &mut Redis, scheduler: &Scheduler, last: usize) {
    let expected: Vec<String> = (0..=last).map(payload).collect();
    eventually(|| match redis.queue("q") {
        queue if queue.len() < expected.len() => Err(format!("{queue:?}\n{}", scheduler.log())),
        queue => {
            assert_eq!(queue, expected);
            Ok(())
        }
    });
}

#[test]
fn each_kind_of_invalid_item_goes_to_quarantine_and_the_rest_is_moved() {
    const MEGABYTES: usize = 5 << 20;
    let nested = |open: &str, close: &str| {
        let (open, close) = (open.repeat(MEGABYTES / 2), close.repeat(MEGABYTES / 2));
        format!(r#"{{"class":"C","args":{open}{close},"queue":"q"}}"#).into_bytes()
    };
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("not JSON", b"garbage".to_vec()),
        ("not JSON", b"".to_vec()),
        ("not JSON", b"{\"class\":\"C\",\"queue\":\"q\"".to_vec()),
        ("not JSON", b"\xff\xfe\x00".to_vec()),
        (
            "not JSON",
            b"{\"class\":\"C\",\"args\":[\"\xff\"],\"queue\":\"q\"}".to_vec(),
        ),
        ("not a delayed job", b"[]".to_vec()),
        ("not a delayed job", b"17".to_vec()),
        ("not a delayed job", br#"{"class":[],"queue":"q"}"#.to_vec()),
        ("not a delayed job", br#"{"class":"C","queue":{}}"#.to_vec()),
        ("no class", br#"{"args":[],"queue":"q"}"#.to_vec()),
        ("no class", br#"{"class":null,"queue":"q"}"#.to_vec()),
        ("no queue", br#"{"class":"C","args":[]}"#.to_vec()),
        ("no queue", br#"{"class":"C","queue":""}"#.to_vec()),
        ("nested too deep", nested("[", "]")),
        (
            "half a surrogate pair",
            br#"{"class":"C","args":["cut \ud83d"],"queue":"q"}"#.to_vec(),
        ),
        (
            "number too large",
            br#"{"class":"C","args":[1e400],"queue":"q"}"#.to_vec(),
        ),
        ("not JSON", nested("[", "")),
    ];
    let mut redis = Redis::start();
    for (number, (_, bad)) in bad.iter().enumerate() {
        redis.delay(1_000, item("q", number));
        redis.delay(1_000, bad);
    }
    let scheduler = started(&redis);
    q_holds(&mut redis, &scheduler, bad.len() - 1);
    let records: Vec<String> = eventually(|| {
        let records: Vec<String> = redis.connection.lrange(QUARANTINE, 0, -1).unwrap();
        if records.len() == bad.len() {
            Ok(records)
        } else {
            Err(scheduler.log())
        }
    });
    for ((reason, item), record) in bad.iter().zip(records) {
        let record: Value = serde_json::from_str(&record).unwrap();
        let why = record["reason"].as_str().unwrap();
        assert!(why.starts_with(reason), "{why}, expected {reason}");
        assert!(why.len() < 200, "the reason repeats the item");
        let kept = record["item"].as_str().map(str::as_bytes);
        assert!(kept.is_none_or(|kept| kept == item), "changed");
    }
    wait_for_fires(&mut redis, &scheduler, 1);
    scheduler.status(" healthy");
}

#[test]
fn a_key_of_the_wrong_type_is_logged_and_blocks_nothing_else() {
    let mut redis = Redis::start();
    redis.command("SET resque:queue:broken x");
    redis.command("SET resque:delayed:1000 x");
    redis.command("ZADD resque:delayed_queue_schedule 1000 1000");
    redis.command("SET resque:delayed:last_enqueued_at x");
    redis.command("SET resque:timestamps:x x");
    redis.delay(1_001, item("broken", 0));
    redis.delay(1_001, item("q", 0));
    let scheduler = started(&redis);
    q_holds(&mut redis, &scheduler, 0);
    scheduler
        .wait_for("bucket is stuck; leaving it in place bucket=\"delayed:1000\"")
        .wait_for("cannot read resque-scheduler's timestamps")
        .status("buckets that cannot be moved: 1, the first is delayed:1000")
        .status("most likely in `resque:delayed:last_enqueued_at`");
    goes_on_without_a_gap(&mut redis, &scheduler, 2);

    redis.command("DEL resque:delayed:1000");
    redis.command("SET resque:delayed_queue_schedule x");
    scheduler
        .wait_for("holds something unexpected, most likely in `resque:delayed_queue_schedule`")
        .status("resque:delayed_queue_schedule");
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    redis.command("DEL resque:delayed_queue_schedule");
    redis.delay(1_000, item("q", 1));
    q_holds(&mut redis, &scheduler, 1);
}

#[test]
fn other_buckets_are_moved_even_if_the_quarantine_has_the_wrong_type() {
    let mut redis = Redis::start();
    redis.command(&format!("SET {QUARANTINE} x"));
    // More items than a batch takes, in buckets before all others.
    for timestamp in 0..1_100 {
        redis.delay(timestamp, "garbage");
    }
    let jobs = 1_500;
    (0..jobs).for_each(|number| redis.delay(2_000, item("q", number)));
    let scheduler = started(&redis);
    q_holds(&mut redis, &scheduler, jobs - 1);
    scheduler.status("buckets that cannot be moved: 1100");
    assert_eq!(scheduler.log().matches("bucket is stuck").count(), 1_100);
    redis.command(&format!("DEL {QUARANTINE}"));
    eventually(|| match redis.connection.llen(QUARANTINE).unwrap() {
        1_100 => Ok(()),
        kept => Err(format!("{kept} in quarantine")),
    });
    scheduler.status(" healthy");
}

#[test]
fn odd_members_are_handled_without_a_busy_loop() {
    let mut redis = Redis::start();
    let schedule = "resque:delayed_queue_schedule";
    for (number, (member, score)) in [
        ("abc", 5.0),
        ("1000000398.5", 1_000_000_398.5),
        ("1000000500", 7.5),
        ("-1", f64::NEG_INFINITY),
        ("\u{e4} b", 1e9),
    ]
    .into_iter()
    .enumerate()
    {
        let () = redis.connection.zadd(schedule, member, score).unwrap();
        let bucket = format!("resque:delayed:{member}");
        let () = redis.connection.rpush(bucket, item("odd", number)).unwrap();
    }
    let () = redis.connection.zadd(schedule, "no bucket", 6).unwrap();
    let () = redis
        .connection
        .zadd(schedule, "1000000398.7", 1_000_000_398.7)
        .unwrap();
    let () = redis
        .connection
        .zadd(schedule, "never", f64::INFINITY)
        .unwrap();
    let scheduler = started(&redis);
    eventually(|| match redis.queue("odd").len() {
        5 => Ok(()),
        _ => Err(scheduler.log()),
    });
    eventually(|| {
        let left: Vec<String> = redis.connection.zrange(schedule, 0, -1).unwrap();
        if left == ["never"] {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
    redis.command("SET resque:delayed:stuck x");
    let () = redis.connection.zadd(schedule, "stuck", 5.5).unwrap();
    scheduler.wait_for("bucket=\"delayed:stuck\"");

    let before = redis.commands_processed();
    std::thread::sleep(Duration::from_secs(3));
    let commands = redis.commands_processed() - before;
    println!("{commands} commands in 3 s, with a stuck bucket");
    assert!(commands < 100, "{commands}");
    let () = redis.connection.zrem(schedule, "stuck").unwrap();
    scheduler.status(" healthy");
}

//! Delayed jobs are moved in order and exactly once, or kept if they cannot be moved.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
};

use redis::Commands;
use serde_json::Value;

use crate::harness::{Program, QUARANTINE, Redis, eventually, item, payload, unix_now};

/// Runs the program once and returns its log.
fn once(redis: &Redis) -> String {
    Program::on(redis).args(["--once"]).run().succeeded().log
}

/// Returns the keys of delayed jobs that are left: buckets, reverse indexes and the sorted set.
pub fn leftovers(redis: &mut Redis) -> Vec<String> {
    let dump = redis.dump();
    let keys = dump.as_object().unwrap().keys().cloned();
    keys.filter(|key| key.contains(":delayed") || key.contains(":timestamps:"))
        .collect()
}

#[test]
fn a_backlog_is_moved_in_order_with_far_fewer_commands_than_jobs() {
    const JOBS: usize = 20_000;
    let mut redis = Redis::start();
    redis.delay_many("bulk", JOBS, 10);
    let monitor = Monitor::start(&redis);

    let log = once(&redis);

    let expected: Vec<String> = (0..JOBS).map(payload).collect();
    assert!(
        redis.queue("bulk") == expected,
        "lost, doubled or out of order\n{log}"
    );
    assert_eq!(leftovers(&mut redis), Vec::<String>::new());
    let calls = monitor.client_calls(&mut redis);
    println!("{JOBS} jobs in {calls} commands of the client");
    assert!(calls < JOBS / 100, "{calls} commands");
}

#[test]
fn a_batch_may_have_more_jobs_than_fit_into_one_command() {
    const JOBS: usize = 10_000;
    for at_each in [1, JOBS] {
        let mut redis = Redis::start();
        redis.delay_many("bulk", JOBS, at_each);
        let args = ["--once", "--delayed-requeue-batch-size", "10000"];

        let log = Program::on(&redis).args(args).run().succeeded().log;

        let expected: Vec<String> = (0..JOBS).map(payload).collect();
        assert!(redis.queue("bulk") == expected, "{log}");
        assert_eq!(leftovers(&mut redis), Vec::<String>::new());
    }
}

/// The output of the server's MONITOR command.
struct Monitor(BufReader<UnixStream>);

impl Monitor {
    fn start(redis: &Redis) -> Self {
        let path = redis.url().trim_start_matches("unix://");
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        Self(BufReader::new(stream))
    }

    /// Counts the commands that clients have sent so far, without the commands of scripts.
    fn client_calls(self, redis: &mut Redis) -> usize {
        let () = redis::cmd("ECHO")
            .arg("the end")
            .exec(&mut redis.connection)
            .unwrap();
        let lines = self.0.lines().map(Result::unwrap);
        let lines = lines.take_while(|line| !line.ends_with(r#""ECHO" "the end""#));
        lines.filter(|line| !line.contains(" lua] ")).count()
    }
}

#[test]
fn jobs_that_cannot_be_enqueued_are_quarantined_and_the_others_are_moved() {
    let mut redis = Redis::start();
    redis.delay(1_000, item("q", 1));
    redis.delay(1_000, "garbage");
    redis.delay(1_000, b"\xff\xfe");
    redis.delay(1_000, r#"{"class":"","args":[],"queue":"q"}"#);
    redis.delay(2_000, r#"{"class":"NoQueue","args":[]}"#);
    redis.delay(2_000, item("q", 2));

    let log = once(&redis);

    assert_eq!(redis.queue("q"), [payload(1), payload(2)], "{log}");
    assert_eq!(leftovers(&mut redis), Vec::<String>::new());
    let records: Vec<String> = redis.connection.lrange(QUARANTINE, 0, -1).unwrap();
    let records: Vec<Value> = records
        .iter()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    let column = |name: &str| -> Vec<&str> {
        records
            .iter()
            .map(|record| record[name].as_str().unwrap_or("-"))
            .collect()
    };
    let buckets = [
        "delayed:1000",
        "delayed:1000",
        "delayed:1000",
        "delayed:2000",
    ];
    assert_eq!(column("bucket"), buckets);
    assert_eq!(column("item")[..2], ["garbage", "-"]);
    assert_eq!(column("item_base64")[1], "//4=");
    assert!(column("reason")[0].starts_with("not JSON"), "{records:?}");
    assert!(column("reason")[2].starts_with("no class"), "{records:?}");
    assert!(column("reason")[3].starts_with("no queue"), "{records:?}");
    let quarantined = |fields: &str| {
        let line =
            format!("delayed job cannot be enqueued; moved it to quarantine {fields} reason=");
        assert!(log.contains(&line), "no `{line}` in:\n{log}");
    };
    quarantined("bucket=\"delayed:1000\"");
    quarantined("bucket=\"delayed:1000\" queue=\"q\"");
    quarantined("bucket=\"delayed:2000\" class=\"NoQueue\"");
}

#[test]
fn the_log_counts_the_moved_jobs_of_each_queue() {
    let mut redis = Redis::start();
    for (queue, number) in [("mail", 1), ("low", 2), ("mail", 3)] {
        redis.delay(1_000, item(queue, number));
    }
    let log = once(&redis);
    assert!(
        log.contains("moved delayed jobs jobs=3 queues=\"low=1 mail=2\""),
        "{log}"
    );
}

#[test]
fn a_number_names_a_class_or_queue_as_the_gem_writes_it() {
    let mut redis = Redis::start();
    redis.delay(1_000, r#"{"class":7,"args":[],"queue":5}"#);
    once(&redis);
    assert_eq!(redis.queue("5"), [r#"{"class":"7","args":[]}"#]);
}

#[test]
fn the_next_batch_is_found_by_score_even_after_odd_members() {
    const MANY: usize = 900;
    let mut redis = Redis::start();
    let schedule = "resque:delayed_queue_schedule";
    // More items than fit into one batch, in odd buckets that are due before and after ordinary ones.
    let odd = [
        ("abc", "100"),
        ("1000000500", "7.5"),
        ("12.5", "12.5"),
        ("3000", "500"),
    ];
    for (member, score) in odd {
        let bucket = format!("resque:delayed:{member}");
        let items: Vec<String> = (0..MANY).map(|number| item(score, number)).collect();
        let () = redis.connection.rpush(bucket, items).unwrap();
        let () = redis.connection.zadd(schedule, member, score).unwrap();
    }
    for (timestamp, number) in (1..).zip(1..1_000) {
        redis.delay(timestamp, item("ordinary", number));
    }
    let monitor = Monitor::start(&redis);

    let log = once(&redis);

    assert_eq!(leftovers(&mut redis), Vec::<String>::new(), "{log}");
    for (_, score) in odd {
        let all: Vec<String> = (0..MANY).map(payload).collect();
        assert!(redis.queue(score) == all, "{score}\n{log}");
    }
    let ordinary: Vec<String> = (1..1_000).map(payload).collect();
    assert_eq!(redis.queue("ordinary"), ordinary, "{log}");
    // 21 batches of two calls each, and the calls of this test. If a batch did not return its place, the next one
    // would start at the oldest bucket again: at least 21 more calls.
    let calls = monitor.client_calls(&mut redis);
    assert!(calls < 95, "{calls}");
}

#[test]
fn a_batch_may_end_at_a_bucket_that_cannot_be_read() {
    let mut redis = Redis::start();
    let schedule = "resque:delayed_queue_schedule";
    // With 300 items and buckets per batch, the broken bucket is the last one of the first batch.
    for (member, score, items) in [("first", 1, 298), ("broken", 2, 0), ("behind", 3, 1)] {
        let () = redis.connection.zadd(schedule, member, score).unwrap();
        for number in 0..items {
            let bucket = format!("resque:delayed:{member}");
            let () = redis
                .connection
                .rpush(bucket, item(member, number))
                .unwrap();
        }
    }
    redis.command("SET resque:delayed:broken x");

    let log = Program::on(&redis).args(["--once"]).run().log;

    assert_eq!(redis.queue("first").len(), 298, "{log}");
    assert_eq!(redis.queue("behind"), [payload(0)], "{log}");
    assert_eq!(log.matches("bucket is stuck").count(), 1, "{log}");
}

#[test]
fn a_queue_key_of_the_wrong_type_blocks_nothing_else() {
    let mut redis = Redis::start();
    let () = redis
        .connection
        .set("resque:queue:broken", "a string")
        .unwrap();
    for number in 0..3 {
        redis.delay(1_000, item("broken", number));
        redis.delay(1_000, item("q", number));
    }
    // A member whose bucket is not a list: the key of the gem's hash looks like that of a bucket.
    let schedule = "resque:delayed_queue_schedule";
    let () = redis
        .connection
        .zadd(schedule, "last_enqueued_at", 5)
        .unwrap();
    let () = redis
        .connection
        .hset("resque:delayed:last_enqueued_at", "a", "b")
        .unwrap();

    let finished = Program::on(&redis).args(["--once"]).run();
    let log = finished.log;
    assert_eq!(
        finished.status.code(),
        Some(1),
        "not everything was done: {log}"
    );

    assert_eq!(
        redis.queue("q"),
        [payload(0), payload(1), payload(2)],
        "{log}"
    );
    let quarantined: Vec<String> = redis.connection.lrange(QUARANTINE, 0, -1).unwrap();
    assert_eq!(quarantined.len(), 3, "{log}");
    assert!(quarantined[0].contains("WRONGTYPE"), "{quarantined:?}");
    assert!(log.contains("bucket is stuck"), "{log}");
    assert_eq!(
        leftovers(&mut redis),
        [
            "resque:delayed:last_enqueued_at",
            "resque:delayed_queue_schedule"
        ]
    );
}

#[test]
fn a_running_scheduler_moves_a_job_when_it_is_due() {
    let mut redis = Redis::start();
    let scheduler = Program::on(&redis).start();
    scheduler.wait_for("became the leader holder=");
    let due = unix_now() + 1;
    redis.delay(due, item("q", 1));
    eventually(|| match redis.queue("q").as_slice() {
        [] => Err(scheduler.log()),
        queue => {
            assert_eq!(queue, [payload(1)]);
            Ok(())
        }
    });
    scheduler.wait_for("moved delayed jobs jobs=1 queues=");
}

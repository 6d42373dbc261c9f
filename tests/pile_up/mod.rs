//! The pile-up guard, which skips fires if an identical job is queued or running, or if the queue is full.

mod searches;

use redis::Commands;

use crate::harness::{Program, Redis, ruby::ask_ruby};

/// Returns a schedule with an hourly entry `e` of class `C`, and these lines.
fn entry(lines: &str) -> String {
    format!("[schedule.e]\ncron = '0 * * * *'\nclass = 'C'\nqueue = 'q'\n{lines}\n")
}

/// Runs `--once` at this minute of 2026-11-23, and returns the log.
fn at(redis: &Redis, schedule: &str, time: &str) -> String {
    let time = format!("2026-11-23T{time}:00Z");
    let program = Program::on(redis).schedule(schedule);
    let finished = program
        .args(["--once", "--yes", "--at", &time])
        .run()
        .succeeded();
    finished.log
}

/// Starts a server and records the schedule as first seen at 11:30.
fn seen(schedule: &str) -> Redis {
    let redis = Redis::start();
    at(&redis, schedule, "11:30");
    redis
}

/// Runs at this time, and asserts that the fire is skipped for this reason.
#[track_caller]
fn skipped(redis: &Redis, schedule: &str, time: &str, reason: &str) {
    let log = at(redis, schedule, time);
    let words = format!(
        "skipped entry=\"e\" queue=\"q\" fire_time=\"2026-11-23T{time}:00Z\" outcome=\"skipped_{reason}\" in_a_row=1"
    );
    assert!(log.contains(&words), "{log}");
    assert!(!log.contains("fired entry="), "{log}");
}

#[track_caller]
fn fired(redis: &Redis, schedule: &str, time: &str) {
    let log = at(redis, schedule, time);
    assert!(log.contains("fired entry=\"e\""), "{log}");
    assert!(!log.contains("skipped"), "{log}");
}

#[test]
fn the_status_shows_the_last_enqueued_fire_and_not_a_later_skipped_one() {
    let redis = Redis::start();
    let program = Program::on(&redis).schedule(
        "[schedule.e]\nevery = '1s'\nqueue = 'q'\noverlap = 'skip_if_queued'\ncatch_up = 'all'",
    );
    let scheduler = program.start();
    scheduler.wait_for("skipped entry=\"e\"");
    let log = scheduler.log();
    let (_, fire) = log.split_once("fired entry=\"e\"").unwrap();
    let (_, fire_time) = fire.split_once("fire_time=").unwrap();
    let (fire_time, _) = fire_time.split_once(' ').unwrap();
    scheduler.status(&format!(
        "timing=\"every 1s\" last_enqueued={fire_time} last_outcome=\"skipped_queued\" next="
    ));
}

/// Takes the oldest job from the queue, and writes the status of a Resque worker that runs it.
fn work(redis: &mut Redis) {
    let payload: String = redis.connection.lpop("resque:queue:q", None).unwrap();
    works_on(redis, &payload);
}

fn works_on(redis: &mut Redis, payload: &str) {
    let job = format!(r#"{{"queue":"q","run_at":"2026-11-23T16:25:34Z","payload":{payload}}}"#);
    let worker = "host:1:q";
    let () = redis.connection.sadd("resque:workers", worker).unwrap();
    let key = format!("resque:worker:{worker}");
    let () = redis.connection.set(key, job).unwrap();
}

fn is_done(redis: &mut Redis) {
    let () = redis.connection.del("resque:worker:host:1:q").unwrap();
}

#[test]
fn a_fire_is_skipped_while_an_identical_job_is_queued() {
    let schedule = entry("overlap = 'skip_if_queued'");
    let mut redis = seen(&schedule);
    fired(&redis, &schedule, "12:00");
    let last_enqueued = |redis: &mut Redis| -> String {
        let key = "resque:delayed:last_enqueued_at";
        redis.connection.hget(key, "e").unwrap()
    };
    let before = last_enqueued(&mut redis);
    skipped(&redis, &schedule, "13:00", "queued");
    assert_eq!(redis.queue("q").len(), 1);
    assert_eq!(last_enqueued(&mut redis), before);
    // The skipped fire is not retried after a restart, although the queue is empty now.
    work(&mut redis);
    let log = at(&redis, &schedule, "13:01");
    assert!(!log.contains("entry="), "{log}");
    assert_eq!(redis.queue("q"), [""; 0]);
    // A running job does not count for `skip_if_queued`.
    fired(&redis, &schedule, "14:00");
}

#[test]
fn a_fire_is_skipped_while_an_identical_job_is_running() {
    let schedule = entry("overlap = 'skip_if_running'\nargs = [[], 9223372036854775807, 'é/\"']");
    let mut redis = seen(&schedule);
    fired(&redis, &schedule, "12:00");
    skipped(&redis, &schedule, "13:00", "queued");
    work(&mut redis);
    skipped(&redis, &schedule, "14:00", "running");
    // The worker runs a job with other arguments.
    works_on(&mut redis, r#"{"class":"C","args":[[]]}"#);
    fired(&redis, &schedule, "15:00");
    work(&mut redis);
    skipped(&redis, &schedule, "16:00", "running");
    is_done(&mut redis);
    fired(&redis, &schedule, "17:00");
}

/// Returns `text` as ActiveSupport escapes it, with one or both of its options enabled.
fn as_active_support(text: &str, html: bool, separators: bool) -> String {
    let escapes = [
        ("&", "\\u0026", html),
        ("<", "\\u003c", html),
        (">", "\\u003e", html),
        ("\u{2028}", "\\u2028", separators),
        ("\u{2029}", "\\u2029", separators),
    ];
    let escapes = escapes.iter().filter(|(_, _, on)| *on);
    escapes.fold(text.to_owned(), |text, (from, to, _)| {
        text.replace(from, to)
    })
}

#[test]
#[ignore = "needs ruby and activesupport: run `make interop`"]
fn active_support_escapes_as_these_tests_assume() {
    let payload =
        "{\"class\":\"C\",\"args\":[\"a&b<c>&'/é\u{7f}\u{2028}\u{2029}\\\\u0026\",1.5,[],{}]}";
    let theirs = ask_ruby("active_support.rb", &[payload.into()]);
    assert_eq!(theirs, [as_active_support(payload, true, true)]);
}

#[test]
fn a_job_with_the_escapes_of_active_support_is_identical() {
    let text = "args = ['a&b<c>&', '\u{2028}\u{2029}', '\\\\u0026 \\u003c']";
    for more in ["", "include_metadata = true", "active_job = true"] {
        let schedule = entry(&format!("overlap = 'skip_if_running'\n{text}\n{more}"));
        for (html, separators) in [(true, true), (true, false), (false, true)] {
            let mut redis = seen(&schedule);
            fired(&redis, &schedule, "12:00");
            let payload = redis.queue("q").remove(0);
            let escaped = as_active_support(&payload, html, separators);
            assert_ne!(escaped, payload);
            redis.command("DEL resque:queue:q");
            // A worker runs the job.
            works_on(&mut redis, &escaped);
            skipped(&redis, &schedule, "13:00", "running");
            // The app has enqueued the same job.
            is_done(&mut redis);
            let () = redis.connection.rpush("resque:queue:q", &escaped).unwrap();
            skipped(&redis, &schedule, "14:00", "queued");
            // Another job is queued and running.
            redis.command("DEL resque:queue:q");
            let other = escaped
                .replace("\\u0026", "\\u003c")
                .replace("\\u2028", "\\u2029");
            works_on(&mut redis, &other);
            let () = redis.connection.rpush("resque:queue:q", &other).unwrap();
            fired(&redis, &schedule, "15:00");
        }
    }
}

#[test]
fn jobs_that_differ_only_in_their_fire_time_are_identical() {
    let active_job = "active_job = true\nargs = [1, { ':a' = 'x' }]";
    for lines in [
        "include_metadata = true",
        "include_metadata = true\nargs = ['a', { scheduled_at = 1 }]",
        active_job,
        &format!("{active_job}\ninclude_metadata = true\npriority = 3"),
    ] {
        let schedule = entry(&format!("overlap = 'skip_if_running'\n{lines}"));
        let mut redis = seen(&schedule);
        fired(&redis, &schedule, "12:00");
        // Many other jobs are behind it in the queue.
        let other = redis.queue("q").remove(0);
        let other = other.replace("\"args\":[", "\"args\":[7,");
        for _ in 0..30 {
            let () = redis
                .connection
                .rpush("resque:queue:q", vec![&other; 100])
                .unwrap();
        }
        skipped(&redis, &schedule, "13:00", "queued");
        work(&mut redis);
        skipped(&redis, &schedule, "14:00", "running");
        works_on(&mut redis, &other);
        fired(&redis, &schedule, "15:00");
    }
}

#[test]
fn a_job_with_other_arguments_in_place_of_the_fire_time_is_not_identical() {
    let schedule = entry("overlap = 'skip_if_queued'\ninclude_metadata = true");
    let redis = &mut seen(&schedule);
    for args in [
        r#"{"scheduled_at":1},{"scheduled_at":1}"#,
        r#"{"scheduled_at":"1"}"#,
        r#"{"scheduled_at":[]}"#,
        r#"{"scheduled_at":}"#,
    ] {
        let payload = format!(r#"{{"class":"C","args":[{args}]}}"#);
        let () = redis.connection.rpush("resque:queue:q", payload).unwrap();
    }
    fired(redis, &schedule, "12:00");
    skipped(redis, &schedule, "13:00", "queued");
}

#[test]
fn a_fire_is_skipped_if_its_queue_is_full() {
    let schedule = entry("max_queue_length = 3");
    let mut redis = seen(&schedule);
    let () = redis.connection.rpush("resque:queue:q", "other").unwrap();
    fired(&redis, &schedule, "12:00");
    fired(&redis, &schedule, "13:00");
    skipped(&redis, &schedule, "14:00", "queue_full");
    assert_eq!(redis.queue("q").len(), 3);
    let () = redis.connection.rpush("resque:queue:q", "other").unwrap();
    skipped(&redis, &schedule, "15:00", "queue_full");
    let () = redis.connection.ltrim("resque:queue:q", 0, 1).unwrap();
    fired(&redis, &schedule, "16:00");
}

#[test]
fn an_identical_fire_of_the_same_batch_is_skipped() {
    let both = "catch_up = 'all'\ncatch_up_window = '1d'\noverlap = 'skip_if_running'";
    let entries = |name: &str, class: &str| {
        format!("[schedule.{name}]\ncron = '0 * * * *'\nclass = '{class}'\nqueue = 'q'\n{both}\n")
    };
    let schedule = entries("a", "C") + &entries("b", "C") + &entries("c", "Other");
    let mut redis = seen(&schedule);
    let log = at(&redis, &schedule, "13:00");
    let (c, other) = (
        r#"{"class":"C","args":[]}"#,
        r#"{"class":"Other","args":[]}"#,
    );
    assert_eq!(redis.queue("q"), [c, other], "{log}");
    for words in [
        "fired entry=\"a\"",
        "skipped entry=\"a\" queue=\"q\" fire_time=\"2026-11-23T13:00:00Z\"",
        "skipped entry=\"b\" queue=\"q\" fire_time=\"2026-11-23T12:00:00Z\"",
        "outcome=\"skipped_queued\" in_a_row=2",
        "fired entry=\"c\"",
    ] {
        assert!(log.contains(words), "no {words} in {log}");
    }
}

#[test]
fn a_skipped_fire_does_not_count_towards_times() {
    let timing = "every = ['1h', { first_at = '2026-11-23 12:00', times = 2 }]";
    let schedule = entry("overlap = 'skip_if_queued'").replace("cron = '0 * * * *'", timing);
    let mut redis = seen(&schedule);
    fired(&redis, &schedule, "12:00");
    skipped(&redis, &schedule, "13:00", "queued");
    skipped(&redis, &schedule, "14:00", "queued");
    work(&mut redis);
    fired(&redis, &schedule, "15:00");
    work(&mut redis);
    let log = at(&redis, &schedule, "16:00");
    assert!(!log.contains("entry="), "{log}");
}

#[test]
fn an_invalid_worker_status_skips_no_fire() {
    let schedule = entry("overlap = 'skip_if_running'");
    let mut redis = seen(&schedule);
    for (hour, command) in [
        "SET resque:workers garbage",
        "SADD resque:workers gone:1:q",
        "SET resque:worker:gone:1:q {\"payload\":garbage",
        "HSET resque:worker:gone:1:q a b",
        "LPUSH resque:worker:gone:1:q a",
    ]
    .into_iter()
    .enumerate()
    {
        redis.command("DEL resque:queue:q resque:worker:gone:1:q");
        if hour == 1 {
            redis.command("DEL resque:workers");
        }
        redis.command(command);
        fired(&redis, &schedule, &format!("{}:00", 12 + hour));
    }
}

#[test]
fn a_queue_of_the_wrong_type_rejects_a_fire_with_a_guard_like_any_other() {
    for fixed_parts in ["", "include_metadata = true"] {
        let schedule = entry(&format!(
            "overlap = 'skip_if_running'\nmax_queue_length = 1\n{fixed_parts}"
        ));
        let mut redis = seen(&schedule);
        redis.command("SET resque:queue:q garbage");
        let once = ["--once", "--yes", "--at", "2026-11-23T12:00:00Z"];
        let finished = Program::on(&redis).schedule(&schedule).args(once).run();
        let refused = finished.log.contains("queue rejects the job");
        assert!(refused, "{}", finished.log);
        redis.command("DEL resque:queue:q");
        fired(&redis, &schedule, "12:01");
    }
}

#[test]
fn a_user_without_the_right_to_read_workers_gets_a_rejection_until_it_has_the_right() {
    let schedule = entry("overlap = 'skip_if_running'");
    let other = "[schedule.other]\ncron = '* * * * *'\nqueue = 'other'\n";
    let schedule = format!("{schedule}\n{other}");
    let mut redis = seen(&schedule);
    redis.command("ACL SETUSER few on >pw ~* &* +@all -smembers");
    let url = format!("{}?user=few&pass=pw", redis.url());
    let once = [
        "--redis-url",
        &url,
        "--once",
        "--yes",
        "--at",
        "2026-11-23T12:00:00Z",
    ];
    let finished = Program::new().schedule(&schedule).args(once).run();
    assert_eq!(finished.status.code(), Some(1), "{}", finished.log);
    let told = finished.log.contains("reason=\"SMEMBERS for its guard: ");
    assert!(told, "{}", finished.log);
    assert_eq!(redis.queue("q"), [""; 0]);
    assert_eq!(redis.queue("other").len(), 1);
    redis.command("ACL SETUSER few +smembers");
    Program::new()
        .schedule(&schedule)
        .args(once)
        .run()
        .succeeded();
    assert_eq!(redis.queue("q").len(), 1);
}

#[test]
fn an_entry_without_a_guard_reads_no_queues_and_workers() {
    let schedule = entry("include_metadata = true");
    let mut redis = seen(&schedule);
    fired(&redis, &schedule, "12:00");
    let stats: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut redis.connection)
        .unwrap();
    assert!(stats.contains("cmdstat_rpush:"), "{stats}");
    for command in ["llen", "lpos", "lrange", "smembers"] {
        assert!(!stats.contains(&format!("cmdstat_{command}:")), "{stats}");
    }
}

#[test]
fn many_entries_with_guards_fire_in_one_pass() {
    let entry = |number| {
        let lines = "overlap = 'skip_if_queued'\nmax_queue_length = 40\ninclude_metadata = true";
        let entry = entry(&format!("args = {number}\n{lines}"));
        entry.replace("schedule.e", &format!("schedule.e{number}"))
    };
    let schedule: String = (10..60).map(entry).collect();
    let mut redis = seen(&schedule);
    let log = at(&redis, &schedule, "12:00");
    assert_eq!(redis.queue("q").len(), 40);
    assert_eq!(
        log.matches("outcome=\"skipped_queue_full\"").count(),
        10,
        "{log}"
    );
}

//! Recurring entries: each fire time exactly once, on time, anchored on the last fire.

use nix::sys::signal::Signal;
use redis::Commands;

use crate::harness::{
    Program, Redis,
    ticks::{EACH_SECOND, assert_gapless, fire_times, wait_for_fires},
    unix_now,
};

#[test]
fn no_second_is_lost_or_doubled_by_kill_9_and_restart() {
    let mut redis = Redis::start();
    let program = Program::on(&redis)
        .args(["--lease", "1s"])
        .schedule(EACH_SECOND);
    let mut scheduler = program.start();
    for _ in 0..4 {
        // Restart at a time that is unrelated to the fires.
        let fires = fire_times(&mut redis).len();
        wait_for_fires(&mut redis, &scheduler, fires + 1);
        scheduler = scheduler.restart();
    }
    let fires = fire_times(&mut redis).len();
    assert_gapless(&wait_for_fires(&mut redis, &scheduler, fires + 2));
}

#[test]
fn an_interval_continues_from_its_last_recorded_fire() {
    const HOURLY: &str = "[schedule.h]\nevery = \"1h\"\nqueue = \"q\"\n";
    let mut redis = Redis::start();
    let mut fires_at = |at: &str| {
        let program = Program::on(&redis).schedule(HOURLY);
        program
            .args(["--once", "--yes", "--at", at])
            .run()
            .succeeded();
        redis.queue("q").len()
    };
    assert_eq!(fires_at("2026-11-23T12:20:00Z"), 0);
    assert_eq!(fires_at("2026-11-23T13:19:59Z"), 0);
    assert_eq!(fires_at("2026-11-23T13:20:30Z"), 1);
    // The fire is missed and not caught up, but the interval continues from it.
    assert_eq!(fires_at("2026-11-23T15:00:00Z"), 1);
    assert_eq!(fires_at("2026-11-23T15:20:00Z"), 2);
    assert_eq!(fires_at("2026-11-23T15:20:00Z"), 2);
}

#[test]
fn an_entry_with_another_timing_has_missed_nothing() {
    const DAILY: &str = "[schedule.d]\ncron = \"0 12 * * *\"\nqueue = \"q\"\n";
    let moved = DAILY.replace("0 12", "0 13");
    let mut redis = Redis::start();
    let mut fires_at = |schedule: &str, at: &str| {
        let program = Program::on(&redis).schedule(schedule);
        program
            .args(["--once", "--yes", "--at", at])
            .run()
            .succeeded();
        redis.queue("q").len()
    };
    assert_eq!(fires_at(DAILY, "2026-11-22T00:00:00Z"), 0);
    assert_eq!(fires_at(DAILY, "2026-11-22T12:02:00Z"), 1, "caught up with");
    assert_eq!(fires_at(&moved, "2026-11-23T13:01:00Z"), 1);
    assert_eq!(fires_at(&moved, "2026-11-24T13:01:00Z"), 2);
}

#[test]
fn once_with_a_part_of_the_schedule_forgets_nothing() {
    const ONE: &str = "[schedule.one]\nat = \"2026-11-23T12:00:00Z\"\nqueue = \"q\"\n";
    const OTHER: &str = "[schedule.other]\ncron = \"0 0 1 1 *\"\nqueue = \"q\"\n";
    let mut redis = Redis::start();
    let fires_at = |redis: &mut Redis, schedule: &str, at: &str| {
        let program = Program::on(redis).schedule(schedule);
        program
            .args(["--once", "--yes", "--at", at])
            .run()
            .succeeded();
        redis.queue("q").len()
    };
    assert_eq!(fires_at(&mut redis, ONE, "2026-11-23T11:59:00Z"), 0);
    assert_eq!(fires_at(&mut redis, ONE, "2026-11-23T12:00:00Z"), 1);
    for at in ["2026-11-23T12:01:00Z", "2026-11-25T12:01:00Z"] {
        assert_eq!(fires_at(&mut redis, OTHER, at), 1);
    }
    let seen: Vec<String> = redis
        .connection
        .hkeys("resque:rescue_scheduler:seen")
        .unwrap();
    assert_eq!(seen, ["one", "other"]);
    let is_away: bool = redis
        .connection
        .exists("resque:rescue_scheduler:away")
        .unwrap();
    assert!(!is_away);
    assert_eq!(
        fires_at(&mut redis, ONE, "2026-11-25T12:02:00Z"),
        1,
        "it fires once"
    );
}

#[test]
fn the_catch_up_policy_decides_what_a_gap_fires() {
    let schedule = |policy: &str| {
        format!(
            "[schedule.m]\ncron = \"* * * * *\"\nqueue = \"q\"\ncatch_up = \"{policy}\"\ncatch_up_window = \"10m\"\n"
        )
    };
    for (policy, fires) in [("latest", 1), ("all", 10), ("none", 0)] {
        let mut redis = Redis::start();
        for at in ["2026-11-23T12:00:30Z", "2026-11-23T12:30:30Z"] {
            let program = Program::on(&redis).schedule(&schedule(policy));
            program
                .args(["--once", "--yes", "--at", at])
                .run()
                .succeeded();
        }
        assert_eq!(redis.queue("q").len(), fires, "{policy}");
    }
}

#[test]
fn a_queue_of_the_wrong_type_stops_only_its_own_entries() {
    const TWO: &str = "[schedule.a]\nevery = \"1s\"\nqueue = \"broken\"\n\
                       [schedule.b]\nevery = \"1s\"\nqueue = \"q\"\n";
    let mut redis = Redis::start();
    let () = redis
        .connection
        .set("resque:queue:broken", "a string")
        .unwrap();
    let scheduler = Program::on(&redis).schedule(TWO).start();
    scheduler
        .wait_for("queue rejects the job")
        .wait_for("fired entry=\"b\"");
    let () = redis.connection.del("resque:queue:broken").unwrap();
    scheduler.wait_for("fired entry=\"a\"");
}

#[test]
fn a_reload_applies_changes_and_rejects_a_file_with_an_error() {
    let redis = Redis::start();
    let program = Program::on(&redis).schedule(
        "[schedule.stays]\nevery = \"1h\"\nqueue = \"q\"\n[schedule.goes]\nevery = \"1h\"\nqueue = \"q\"\n",
    );
    let scheduler = program.start();
    scheduler.wait_for("became the leader holder=");

    scheduler.program.write(
        "schedule.toml",
        "[schedule.stays]\nevery = \"soon\"\nqueue = \"q\"\n",
    );
    scheduler.signal(Signal::SIGHUP);
    scheduler
        .wait_for("reload rejected")
        .wait_for("schedule.toml:2:")
        .wait_for("soon");

    scheduler.program.write(
        "schedule.toml",
        "[schedule.stays]\nevery = \"1h\"\nqueue = \"q\"\n[schedule.new]\nevery = \"1s\"\nqueue = \"q\"\n",
    );
    scheduler.signal(Signal::SIGUSR2);
    scheduler.wait_for("schedule reloaded added=\"new\" changed=\"\" removed=\"goes\"");
    scheduler.wait_for("fired entry=\"new\"");

    scheduler.signal(Signal::SIGUSR1);
    scheduler.wait_for("entry entry=\"new\" timing=\"every 1s\" last_enqueued=\"2");
    scheduler.wait_for("entry entry=\"stays\" timing=\"every 1h\" next=\"2");
}

#[test]
fn an_outage_is_logged_once_and_missed_fires_are_caught_up_after_it() {
    let mut redis = Redis::start();
    let scheduler = Program::on(&redis).schedule(EACH_SECOND).start();
    wait_for_fires(&mut redis, &scheduler, 1);
    redis.signal(Signal::SIGSTOP);
    scheduler.wait_for("cannot use Redis");
    redis.signal(Signal::SIGCONT);
    scheduler.wait_for("Redis is back");
    let fires = fire_times(&mut redis).len();
    assert_gapless(&wait_for_fires(&mut redis, &scheduler, fires + 2));
    let log = scheduler.log();
    assert_eq!(log.matches("cannot use Redis").count(), 1, "{log}");
}

#[test]
fn once_without_a_schedule_removes_no_records() {
    const DAILY: &str = "[schedule.d]\ncron = \"0 12 * * *\"\nqueue = \"q\"\n";
    let mut redis = Redis::start();
    let once = |schedule: Option<&str>, at: &str| {
        let program = Program::on(&redis).args(["--once", "--yes", "--at", at]);
        let mut program = match schedule {
            Some(text) => program.schedule(text),
            None => program,
        };
        program.run().succeeded();
    };
    once(Some(DAILY), "2026-11-23T11:00:00Z");
    once(None, "2026-11-23T11:59:00Z");
    once(Some(DAILY), "2026-11-23T12:01:00Z");
    assert_eq!(redis.queue("q").len(), 1);
}

#[test]
fn an_empty_file_on_reload_stops_nothing() {
    let redis = Redis::start();
    let scheduler = Program::on(&redis).schedule(EACH_SECOND).start();
    scheduler.wait_for("became the leader holder=");
    scheduler.program.write("schedule.toml", "");
    scheduler.signal(Signal::SIGHUP);
    scheduler
        .wait_for("reload rejected")
        .wait_for("the file has no entries");
}

#[test]
fn a_reload_may_disable_the_only_entry() {
    let redis = Redis::start();
    let scheduler = Program::on(&redis).schedule(EACH_SECOND).start();
    scheduler.wait_for("became the leader holder=");
    let disabled = format!("{EACH_SECOND}\nenabled = false\n");
    scheduler.program.write("schedule.toml", &disabled);
    scheduler.signal(Signal::SIGHUP);
    scheduler.wait_for("removed=");
}

#[test]
fn a_last_fire_far_in_the_future_is_logged_with_the_command_that_corrects_it() {
    let mut redis = Redis::start();
    for at in ["2099-01-01T00:00:00Z", "2099-01-01T00:00:01Z"] {
        Program::on(&redis)
            .schedule(EACH_SECOND)
            .args(["--once", "--yes", "--at", at])
            .run()
            .succeeded();
    }
    let scheduler = Program::on(&redis).schedule(EACH_SECOND).start();
    scheduler
        .wait_for("last fire time is far in the future; entry waits until then")
        .status("unhealthy")
        .status(
            "entries that wait because their last fire is recorded for a time in the future: 1, the furthest is tick \
             (until 2099-01-01T00:00:01Z)",
        );
    let log = scheduler.log();
    let log = log.replace('\\', "");
    let (_, commands) = log
        .split_once("HSET resque:rescue_scheduler:fired \"tick\" ")
        .unwrap();
    let (now, commands) = commands.split_at(10);
    let now: i64 = now.parse().unwrap();
    assert!(
        commands.starts_with("; HDEL resque:rescue_scheduler:seen \"tick\""),
        "{log}"
    );
    assert!((unix_now() - 60..=unix_now()).contains(&now), "{log}");
    assert_eq!(fire_times(&mut redis).len(), 1);

    redis.command(&format!("HSET resque:rescue_scheduler:fired tick {now}"));
    redis.command("HDEL resque:rescue_scheduler:seen tick");
    let scheduler = scheduler.restart();
    wait_for_fires(&mut redis, &scheduler, 2);
    scheduler.status(" healthy leading=true");
}

/// Runs `--once` with one schedule at several times. Returns the number of payloads in the queue after each run.
fn queued_after(schedule: &str, times: &[&str]) -> Vec<usize> {
    let mut redis = Redis::start();
    let mut queued = |at: &&str| {
        let program = Program::on(&redis).schedule(schedule);
        program
            .args(["--once", "--yes", "--at", at])
            .run()
            .succeeded();
        redis.queue("q").len()
    };
    times.iter().map(&mut queued).collect()
}

#[test]
fn times_limits_the_fires_across_restarts() {
    let schedule = "[schedule.t]\nevery = [\"1m\", { first_in = 0, times = 2 }]\nqueue = \"q\"\n";
    let at = ["12:00:00", "12:01:00", "12:02:00", "12:03:00"];
    let at = at.map(|time| format!("2026-11-23T{time}Z"));
    assert_eq!(
        queued_after(schedule, &at.each_ref().map(String::as_str)),
        [1, 2, 2, 2]
    );
}

#[test]
fn a_one_shot_entry_fires_once_ever() {
    let schedule = "[schedule.o]\nat = \"2026-11-23 13:00\"\ntimezone = \"Europe/Stockholm\"\n\
                    queue = \"q\"\n[schedule.i]\nin = \"5m\"\nqueue = \"q\"\n";
    let at = ["11:59:00", "12:00:00", "12:04:00", "12:05:00"];
    let at = at.map(|time| format!("2026-11-23T{time}Z"));
    assert_eq!(
        queued_after(schedule, &at.each_ref().map(String::as_str)),
        [0, 1, 2, 2]
    );
}

#[test]
fn fires_of_a_ruby_scheduler_are_not_caught_up() {
    const DAILY: &str = "[schedule.d]\ncron = \"0 * * * *\"\nqueue = \"q\"\ncatch_up = \"all\"\ncatch_up_window = \"1d\"\n";
    let mut redis = Redis::start();
    let mut fires_at = |at: &str, ruby: Option<&str>| {
        if let Some(stamp) = ruby {
            let key = "resque:delayed:last_enqueued_at";
            let () = redis.connection.hset(key, "d", stamp).unwrap();
        }
        let program = Program::on(&redis).schedule(DAILY);
        program
            .args(["--once", "--yes", "--at", at])
            .run()
            .succeeded();
        redis.queue("q").len()
    };
    assert_eq!(fires_at("2026-11-23T11:30:00Z", None), 0);
    assert_eq!(fires_at("2026-11-23T12:00:00Z", None), 1);
    // The Ruby scheduler was the leader from 12:30 to 14:30, and then nobody until 16:10.
    let stamp = Some("2026-11-23 15:00:03 +0100");
    assert_eq!(
        fires_at("2026-11-23T16:10:00Z", stamp),
        3,
        "15:00 and 16:00"
    );
}

#[test]
fn the_switch_from_a_ruby_scheduler_misses_nothing_and_doubles_nothing() {
    let schedule = "[schedule.cron]\ncron = \"0 * * * *\"\nqueue = \"cron\"\n\
                    [schedule.every]\nevery = \"30m\"\nqueue = \"every\"\n\
                    [schedule.new]\ncron = \"0 * * * *\"\nqueue = \"new\"\n";
    let mut redis = Redis::start();
    let key = "resque:delayed:last_enqueued_at";
    let stamps = [
        ("cron", "2026-11-23 11:00:00 +0000"),
        ("every", "2026-11-23 12:30:10 +0100"),
    ];
    let () = redis.connection.hset_multiple(key, &stamps).unwrap();
    let mut queued_at = |at: &str| {
        let program = Program::on(&redis).schedule(schedule);
        program
            .args(["--once", "--yes", "--at", at])
            .run()
            .succeeded();
        ["cron", "every", "new"].map(|queue| redis.queue(queue).len())
    };
    // The Ruby scheduler stopped at 11:59:59 and ours became the leader at once. It sees all entries for the first
    // time.
    assert_eq!(queued_at("2026-11-23T12:00:00Z"), [1, 0, 0]);
    assert_eq!(queued_at("2026-11-23T12:00:09Z"), [1, 0, 0]);
    assert_eq!(queued_at("2026-11-23T12:00:10Z"), [1, 1, 0]);
    assert_eq!(queued_at("2026-11-23T13:00:10Z"), [2, 2, 1]);
}

#[test]
fn a_scheduler_with_another_lock_prefix_does_not_affect_our_fires() {
    let entry =
        |cron: &str, queue: &str| format!("[schedule.d]\ncron = \"{cron}\"\nqueue = \"{queue}\"\n");
    let mut redis = Redis::start();
    let once = |prefix: &str, schedule: String, at: &str| {
        let program = Program::on(&redis)
            .schedule(&schedule)
            .args(["--lock-prefix", prefix]);
        program
            .args(["--once", "--yes", "--at", at])
            .run()
            .succeeded();
    };
    for at in ["2026-11-23T11:59:00Z", "2026-11-23T12:00:03Z"] {
        once("sibling", entry("* * * * *", "other"), at);
        if at.contains("11:59") {
            once("ours", entry("0 12 * * *", "q"), at);
        }
    }
    once("ours", entry("0 12 * * *", "q"), "2026-11-23T12:00:05Z");
    assert_eq!(redis.queue("q").len(), 1);
}

//! A user with exactly the rights in docs/configuration.md.

use nix::sys::signal::Signal;
use redis::Commands;

use super::{does_its_work, program};
use crate::harness::{LOCK, Redis, Scheduler, eventually};

/// Returns the words of the ACL line in docs/configuration.md, without the command's name.
fn documented_line() -> Vec<String> {
    let page = include_str!("../../docs/configuration.md");
    let line = page
        .lines()
        .find(|it| it.starts_with("ACL SETUSER rescue "));
    let words = line.unwrap().split(' ').skip(1);
    words.map(|it| it.replace("PASSWORD", "pw")).collect()
}

/// Starts a server with that user and an optional `more` rule. Returns the user's URL, too.
fn server(line: &[String], more: Option<String>) -> (Redis, String) {
    let mut redis = Redis::start();
    let mut user = redis::cmd("ACL");
    user.arg(line).arg(more);
    user.exec(&mut redis.connection).unwrap();
    let url = format!("{}?user=rescue&pass=pw", redis.url());
    (redis, url)
}

/// Adds the user `rescue:pw` for `namespace` to `redis`, with the `more` rights that docs/configuration.md adds for such
/// a server.
pub fn add_user(redis: &mut Redis, namespace: &str, more: &[&str]) {
    let page = include_str!("../../docs/configuration.md");
    let for_namespace = |it: String| it.replace("~resque:*", &format!("~{namespace}:*"));
    let mut user = redis::cmd("ACL");
    user.arg(
        documented_line()
            .into_iter()
            .map(for_namespace)
            .collect::<Vec<_>>(),
    );
    for right in more {
        assert!(
            page.contains(right),
            "docs/configuration.md does not name {right}"
        );
        user.arg(right.split(' ').collect::<Vec<_>>());
    }
    user.exec(&mut redis.connection).unwrap();
}

/// Returns the commands that Redis denied.
pub fn denied(redis: &mut Redis) -> Vec<String> {
    let mut log = redis::cmd("ACL");
    let entries: Vec<redis::Value> = log.arg("LOG").query(&mut redis.connection).unwrap();
    entries.iter().map(|it| format!("{it:?}")).collect()
}

/// Runs a leader and a follower, stops the leader, and waits for the takeover.
fn leads_and_takes_over(redis: &mut Redis, url: &str) -> Scheduler {
    let mut first = does_its_work(redis, program(url, &[]));
    let second = program(url, &[]).start();
    second.wait_for("following");
    first.signal(Signal::SIGTERM);
    assert_eq!(first.ended().code(), Some(0), "{}", first.log());
    second
        .wait_for("became the leader holder=")
        .status(" healthy");
    second
}

#[test]
fn the_acl_documented_line_has_every_right_that_the_scheduler_needs() {
    let (mut redis, url) = server(&documented_line(), None);
    leads_and_takes_over(&mut redis, &url);
    assert_eq!(denied(&mut redis), Vec::<String>::new());
}

#[test]
fn the_documented_rights_are_enough_for_every_command() {
    let mut redis = Redis::start();
    add_user(
        &mut redis,
        "resque",
        &["+multi +exec +info +hgetall +hkeys +zrange"],
    );
    let url = format!("{}?user=rescue&pass=pw", redis.url());
    let program = crate::harness::Program::new().args(["--redis-url", &url]);
    let scheduler = program
        .schedule("[schedule.e]\nevery = '1h'\nqueue = 'q'\n")
        .start();
    scheduler.wait_for("became the leader");
    let run = |command: &[&str]| {
        let program = crate::harness::Program::new().env("REDIS_URL", &url);
        program.more_args(command).run()
    };
    eventually(|| {
        let listed = run(&["schedule", "list"]);
        let is_there = listed.status.code() == Some(0);
        is_there.then_some(()).ok_or(listed.log)
    });
    for command in [
        &["status"][..],
        &["schedule", "show", "e"],
        &["schedule", "trigger", "e"],
        &["schedule", "pause", "e"],
        &["schedule", "resume", "e"],
        &["history", "e"],
        &["events"],
    ] {
        run(command).succeeded();
    }
    assert_eq!(denied(&mut redis), Vec::<String>::new());
}

#[test]
fn dynamic_entries_need_no_additional_right() {
    let mut redis = Redis::start();
    add_user(&mut redis, "resque", &[]);
    let entry = r#"{"every":"1h","queue":"q"}"#;
    let () = redis
        .connection
        .hset("resque:persistent_schedules", "later", entry)
        .unwrap();
    let () = redis
        .connection
        .sadd("resque:schedules_changed", "later")
        .unwrap();
    let url = format!("{}?user=rescue&pass=pw", redis.url());
    let scheduler = program(&url, &[]).args(["--dynamic"]).start();
    scheduler.wait_for("dynamic entries changed");
    eventually(
        || match redis.connection.exists("resque:schedules_changed") {
            Ok(false) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
    scheduler.status(" healthy");
    assert_eq!(denied(&mut redis), Vec::<String>::new());
}

/// Runs a scheduler without `right` through all its duties, until Redis denies something. Returns what was denied.
fn denied_without(right: &str) -> Vec<String> {
    let (mut redis, url) = server(&documented_line(), Some(format!("-{right}")));
    let () = redis.connection.pset_ex(LOCK, "other:1", 60_000).unwrap();
    redis.delay(1_000, "garbage");
    let mut scheduler = program(&url, &[]).start();
    eventually(|| match scheduler.log() {
        log if log.contains("following") || !denied(&mut redis).is_empty() => Ok(()),
        log => Err(log),
    });
    // The scheduler takes over when this lock expires.
    let () = redis.connection.pexpire(LOCK, 500).unwrap();
    let mut left = 600;
    eventually(|| {
        left -= 1;
        let said = denied(&mut redis);
        // The right that releasing the lease needs is denied only after the signal below.
        if said.is_empty() && left > 0 {
            Err(scheduler.log())
        } else {
            Ok(())
        }
    });
    scheduler.signal(Signal::SIGTERM);
    scheduler.ended();
    denied(&mut redis)
}

#[test]
fn each_right_of_the_acl_line_is_needed() {
    let line = documented_line();
    let rights = line.iter().filter_map(|it| it.strip_prefix('+'));
    std::thread::scope(|scope| {
        let tried: Vec<_> = rights
            .map(|right| (right, scope.spawn(|| denied_without(right))))
            .collect();
        assert!(tried.len() > 20);
        for (right, denied) in tried {
            assert!(!denied.join().unwrap().is_empty(), "+{right} is not needed");
        }
    });
}

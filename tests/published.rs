//! The entries in force that the leader publishes.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use nix::sys::signal::Signal;
use redis::Commands as _;
use rescue_scheduler::store::PublishedEntry;
use serde_json::{Value, json};

use crate::harness::{
    Program, Redis, Scheduler, eventually,
    ticks::{EACH_SECOND, goes_on_without_a_gap, wait_for_fires},
};

const KEY: &str = "resque:rescue_scheduler:entries";

fn entries(redis: &mut Redis) -> BTreeMap<String, String> {
    redis.connection.hgetall(KEY).unwrap()
}

/// Waits until the entries with these names are published, and returns them.
#[track_caller]
fn published(redis: &mut Redis, names: &[&str]) -> BTreeMap<String, String> {
    eventually(|| match entries(redis) {
        found if found.keys().eq(names) => Ok(found),
        found => Err(format!("{:?}", found.keys())),
    })
}

/// Waits until the published entry differs from `before`, and returns it.
#[track_caller]
fn replaced(redis: &mut Redis, name: &str, before: &str) -> String {
    eventually(|| match entries(redis).remove(name) {
        Some(found) if found != before => Ok(found),
        found => Err(format!("{found:?}")),
    })
}

/// Overwrites a published entry.
fn mark(redis: &mut Redis, name: &str) {
    let () = redis.connection.hset(KEY, name, "marked").unwrap();
}

/// Returns how often a command has succeeded since the last `CONFIG RESETSTAT`.
fn calls(redis: &mut Redis, command: &str) -> usize {
    let info: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut redis.connection)
        .unwrap();
    let stats = info
        .lines()
        .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let number = |name: &str| {
        let parts = stats.into_iter().flat_map(|it| it.split(','));
        let mut found = parts.filter_map(|it| it.strip_prefix(name));
        found.next().map_or(0, |it| it.parse().unwrap())
    };
    number("calls=") - number("failed_calls=")
}

/// Makes the heartbeats of schedulers fail, because they use a hash, too.
fn without_heartbeats(redis: &mut Redis) {
    let key = "resque:rescue_scheduler:schedulers";
    let () = redis.connection.set(key, "no hash").unwrap();
}

/// Waits until the leader has looked for delayed jobs this many times, once a second.
#[track_caller]
fn looks(redis: &mut Redis, wanted: usize) {
    redis.command("CONFIG RESETSTAT");
    eventually(|| match calls(redis, "zrangebyscore") {
        looks if looks >= wanted => Ok(()),
        looks => Err(format!("{looks} looks")),
    });
}

/// Reloads the scheduler with this schedule.
fn reload(scheduler: &Scheduler, schedule: &str) {
    let before = scheduler.log().matches("schedule reloaded").count();
    fs::write(scheduler.program.path("schedule.toml"), schedule).unwrap();
    scheduler.signal(Signal::SIGHUP);
    eventually(|| match scheduler.log() {
        log if log.matches("schedule reloaded").count() > before => Ok(()),
        log => Err(log),
    });
}

/// Returns an entry of a file that never fires during a test.
fn entry(name: &str, class: &str) -> String {
    format!("[schedule.{name}]\nevery = '1y'\nqueue = 'q'\nclass = '{class}'\n")
}

#[test]
fn entries_of_files_and_of_apps_are_published_with_their_fields() {
    let mut redis = Redis::start();
    let dynamic =
        r#"{"class":"Mail","args":[ 1.0e2, "é" ],"every":["1h",{"first_in":300}],"queue":"mail"}"#;
    let () = redis
        .connection
        .hset("resque:persistent_schedules", "dynamic", dynamic)
        .unwrap();
    let program = Program::on(&redis).args(["--dynamic"]).schedule(
        "# A comment\n[schedule.toml]\ncron = '0 9 * * mon'\ntimezone = 'Europe/Paris'\nqueue = 'q'\n\
         include_metadata = true\noverlap = 'skip_if_queued'\nmax_queue_length = 9\ntimes = 3\n\
         last_at = 2099-01-01T00:00:00Z\njitter = '1m'\ndescription = 'Says much'\n",
    );
    let yaml = "---\n\nyaml:\n  class: Report\n  cron: 0 9 * * * UTC\n  queue: q\n  args: [1]\n";
    let path = program.write("gem.yml", yaml).display().to_string();
    let toml = program.path("schedule.toml").display().to_string();
    let _scheduler = program.args([&path]).start();
    let found = published(&mut redis, &["dynamic", "toml", "yaml"]);
    let read = |name: &str| -> Value {
        // Reading the JSON as commands do loses nothing.
        let read: PublishedEntry<'_> = serde_json::from_str(&found[name]).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), found[name]);
        let mut json: Value = serde_json::from_str(&found[name]).unwrap();
        let digest = json.as_object_mut().unwrap().remove("digest").unwrap();
        assert_eq!(digest.as_str().unwrap().len(), 40);
        json
    };
    assert_eq!(
        read("toml"),
        json!({
            "class": "toml", "queue": "q",
            "payload": "{\"class\":\"toml\",\"args\":[{\"scheduled_at\":\u{2}}]}",
            "timing": "cron 0 9 * * 1 in Europe/Paris, last at 2099-01-01T00:00:00Z, 3 times, jitter 1m",
            "timezone": "Europe/Paris", "source": format!("{toml}:2"),
            "catch_up": "latest", "catch_up_window_s": 300,
            "overlap": "skip_if_queued", "max_queue_length": 9,
            "cron": "0 9 * * 1", "last_at": "2099-01-01T00:00:00Z", "times": 3, "jitter_s": 60,
            "description": "Says much",
        })
    );
    assert_eq!(
        read("yaml"),
        json!({
            "class": "Report", "queue": "q", "payload": r#"{"class":"Report","args":[1]}"#,
            "timing": "cron 0 9 * * * UTC", "timezone": "UTC", "source": format!("{path}:3"),
            "catch_up": "latest", "catch_up_window_s": 300, "cron": "0 9 * * * UTC",
        })
    );
    assert_eq!(
        read("dynamic"),
        json!({
            "class": "Mail", "queue": "mail",
            "payload": r#"{"class":"Mail","args":[ 1.0e2, "é" ]}"#,
            "timing": "every 1h, first in 5m", "timezone": "UTC", "source": "dynamic",
            "catch_up": "latest", "catch_up_window_s": 300, "every_s": 3600, "first_in_s": 300,
        })
    );
    // An app changes one entry and removes another.
    let mut change = redis::pipe();
    change
        .hset(
            "resque:persistent_schedules",
            "dynamic",
            r#"{"queue":"other"}"#,
        )
        .sadd("resque:schedules_changed", "dynamic");
    let () = change.query(&mut redis.connection).unwrap();
    let changed = replaced(&mut redis, "dynamic", &found["dynamic"]);
    assert!(changed.contains(r#""queue":"other""#), "{changed}");
    let mut remove = redis::pipe();
    remove
        .hdel("resque:persistent_schedules", "dynamic")
        .sadd("resque:schedules_changed", "dynamic");
    let () = remove.query(&mut redis.connection).unwrap();
    published(&mut redis, &["toml", "yaml"]);
}

#[test]
fn a_reload_publishes_only_what_changed() {
    let mut redis = Redis::start();
    let before = entry("same", "A") + &entry("changed", "A") + &entry("removed", "A");
    let scheduler = Program::on(&redis).schedule(&before).start();
    let found = published(&mut redis, &["changed", "removed", "same"]);
    mark(&mut redis, "same");

    let after = entry("same", "A") + &entry("changed", "B") + &entry("added", "A");
    reload(&scheduler, &after);
    let after_reload = published(&mut redis, &["added", "changed", "same"]);
    assert_ne!(after_reload["changed"], found["changed"]);
    assert_eq!(after_reload["same"], "marked");

    // Every entry is on another line now, and otherwise unchanged.
    reload(&scheduler, &format!("# A comment\n{after}"));
    let moved = replaced(&mut redis, "same", "marked");
    let toml = scheduler.program.path("schedule.toml");
    let source = format!(r#""source":"{}:2""#, toml.display());
    assert!(moved.contains(&source), "{moved}");
    let log = scheduler.log();
    let last = log.rfind("schedule reloaded").unwrap();
    let last = log[last..].lines().next().unwrap();
    assert!(!last.contains("same"), "{last}");
}

#[test]
fn a_new_leader_corrects_the_published_entries() {
    const ENTRIES: usize = 3_000;
    let mut redis = Redis::start();
    without_heartbeats(&mut redis);
    let mut schedule = String::new();
    for number in 0..ENTRIES {
        write!(schedule, "{}", entry(&format!("entry_{number}"), "A")).unwrap();
    }
    let mut scheduler = Program::on(&redis)
        .args(["--lease", "1s"])
        .schedule(&schedule)
        .start();
    let all = eventually(|| match entries(&mut redis) {
        found if found.len() == ENTRIES => Ok(found),
        found => Err(format!("{} published", found.len())),
    });
    scheduler.kill();
    mark(&mut redis, "entry_7");
    for number in 0..ENTRIES {
        let name = format!("stranger_{number}");
        let () = redis.connection.hset(KEY, name, "{}").unwrap();
    }
    let () = redis.connection.hset(KEY, b"\xff", "{}").unwrap();
    let () = redis.connection.hdel(KEY, "entry_8").unwrap();
    scheduler.start_again();
    eventually(|| {
        let found: BTreeMap<Vec<u8>, String> = redis.connection.hgetall(KEY).unwrap();
        let found = found.into_iter();
        let found = found.map(|(name, json)| (String::from_utf8_lossy(&name).into_owned(), json));
        let found: BTreeMap<_, _> = found.collect();
        (found == all).then_some(()).ok_or(found.len())
    });

    // Now there is nothing to correct.
    scheduler.kill();
    redis.command("CONFIG RESETSTAT");
    scheduler.start_again();
    eventually(|| match calls(&mut redis, "hscan") {
        // Reading the records takes fewer calls.
        pages if pages > ENTRIES / 20 => Ok(()),
        pages => Err(format!("{pages} pages\n{}", scheduler.log())),
    });
    let written = (calls(&mut redis, "hset"), calls(&mut redis, "hdel"));
    looks(&mut redis, 2);
    let more = (calls(&mut redis, "hset"), calls(&mut redis, "hdel"));
    assert_eq!((written, more), ((0, 0), (0, 0)));
}

#[test]
fn a_key_of_the_wrong_type_stops_nothing_else() {
    let mut redis = Redis::start();
    without_heartbeats(&mut redis);
    let () = redis.connection.set(KEY, "a string").unwrap();
    let scheduler = Program::on(&redis).schedule(EACH_SECOND).start();
    wait_for_fires(&mut redis, &scheduler, 1);
    scheduler.status(&format!("cannot publish the entries in force in `{KEY}`"));
    redis.command("CONFIG RESETSTAT");
    goes_on_without_a_gap(&mut redis, &scheduler, 3);
    // The key is not read every second.
    assert_eq!(calls(&mut redis, "hscan"), 0);
    let log = scheduler.log();
    assert!(!log.contains("cannot use Redis"), "{log}");

    let () = redis.connection.del(KEY).unwrap();
    reload(&scheduler, EACH_SECOND);
    published(&mut redis, &["tick"]);
    scheduler.status(" healthy");
}

#[test]
fn a_key_that_may_not_be_written_stops_nothing_else() {
    let mut redis = Redis::start();
    redis.command(
        "ACL SETUSER few on >pw +@all ~resque:queue* ~resque:delayed* ~resque:resque:* \
         ~resque:rescue_scheduler:[tfshaw]*",
    );
    let url = format!("{}?user=few&pass=pw", redis.url());
    let program = Program::new().args(["--redis-url", &url]);
    let scheduler = program.schedule(EACH_SECOND).start();
    wait_for_fires(&mut redis, &scheduler, 1);
    scheduler.status(&format!("cannot publish the entries in force in `{KEY}`"));
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    let log = scheduler.log();
    assert!(!log.contains("cannot use Redis"), "{log}");
}

#[test]
fn a_follower_publishes_nothing_until_it_leads() {
    let mut redis = Redis::start();
    let mut first = Program::on(&redis).schedule(&entry("first", "A")).start();
    published(&mut redis, &["first"]);
    let both = entry("second", "A") + &entry("third", "A");
    let second = Program::on(&redis).schedule(&both).start();
    second.wait_for("following");
    mark(&mut redis, "first");
    reload(&second, &(entry("second", "B") + &entry("third", "A")));
    looks(&mut redis, 2);
    assert_eq!(entries(&mut redis)["first"], "marked");
    assert_eq!(entries(&mut redis).len(), 1);

    first.signal(Signal::SIGTERM);
    first.ended();
    second.wait_for("became the leader holder=");
    let found = published(&mut redis, &["second", "third"]);
    assert!(found["second"].contains(r#""class":"B""#), "{found:?}");
}

#[test]
fn once_publishes_nothing() {
    let mut redis = Redis::start();
    let program = Program::on(&redis)
        .args(["--once"])
        .schedule(&entry("a", "A"));
    { program }.run().succeeded();
    let there: bool = redis.connection.exists(KEY).unwrap();
    assert!(!there);
}

#[test]
fn entries_that_redis_lost_are_published_again() {
    let mut redis = Redis::start();
    let scheduler = Program::on(&redis).schedule(&entry("a", "A")).start();
    published(&mut redis, &["a"]);
    redis.kill();
    scheduler.wait_for("cannot use Redis");
    redis.revive();
    published(&mut redis, &["a"]);
    scheduler.status(" healthy");
    let log = scheduler.log();
    assert_eq!(log.matches("cannot use Redis").count(), 1, "{log}");
    assert_eq!(log.matches("Redis is back").count(), 1, "{log}");
}

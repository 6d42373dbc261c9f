//! Costs of a job: commands, round trips and bytes. They are counted, not timed, so the speed of the machine does
//! not matter, and a change that makes each job more expensive fails here.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use redis::Commands as _;

use crate::harness::{
    Program, Redis, eventually, item, now,
    proxy::{Proxy, Traffic},
};

/// Number of calls of each command since the last `forget`, including calls from scripts.
struct Calls(BTreeMap<String, usize>);

impl Calls {
    fn forget(redis: &mut Redis) {
        redis.command("CONFIG RESETSTAT");
    }

    fn of(redis: &mut Redis) -> Self {
        let info: String = redis::cmd("INFO")
            .arg("commandstats")
            .query(&mut redis.connection)
            .unwrap();
        let calls = info.lines().filter_map(|line| {
            let (name, stats) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), stats.split_once(',')?.0.parse().unwrap()))
        });
        Self(calls.collect())
    }

    fn count(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Returns the number of all calls, without those of this test and those that open a connection.
    fn total(&self) -> usize {
        let others = ["info", "config|resetstat", "client|setinfo", "script|load"];
        let ours = self
            .0
            .iter()
            .filter(|(name, _)| !others.contains(&name.as_str()));
        ours.map(|(_, calls)| calls).sum()
    }
}

const JOBS: usize = 10_000;

/// Moves the jobs, `at_each` for each timestamp. Returns the calls and the traffic.
fn moved(at_each: usize) -> (Calls, Traffic) {
    let mut redis = Redis::start();
    redis.delay_many("moved", JOBS, at_each);
    let network = Proxy::to(&redis);
    Calls::forget(&mut redis);
    let program = Program::new()
        .args(["--once", "--redis-url", &network.url()])
        .run();
    program.succeeded();
    let calls = Calls::of(&mut redis);
    assert_eq!(redis.queue("moved").len(), JOBS);
    let traffic = network.traffic();
    println!("{at_each} at each timestamp: {:?} {traffic:?}", calls.0);
    (calls, traffic)
}

#[test]
fn a_delayed_job_is_sent_once_each_way_and_takes_one_command_beside_two_of_its_bucket() {
    let length = item("moved", JOBS).len();
    // A step takes at most 300 jobs, items and buckets.
    for (at_each, steps) in [(JOBS, 35), (10, 38), (1, 68)] {
        let (calls, traffic) = moved(at_each);
        let buckets = JOBS / at_each;
        assert_eq!(calls.count("srem"), JOBS);
        // One call per step, because all jobs go to the same queue.
        assert!(calls.count("rpush") <= steps + 2);
        // A bucket is read once, and again when it is moved; a large one in parts of 8.
        assert!(calls.count("lrange") <= 2 * buckets + JOBS / 8 + 10 * steps);
        // Each step reads and moves. A script is sent again if Redis does not know it yet.
        assert!(calls.count("evalsha") <= 2 * steps + 10);
        assert!(calls.total() <= JOBS + 2 * buckets + JOBS / 8 + 30 * steps);
        assert!(traffic.round_trips <= 2 * steps + 30);
        let (sent, received) = (traffic.sent / JOBS, traffic.received / JOBS);
        let per_bucket = 36 / at_each;
        assert!(
            sent <= length + 12 + per_bucket,
            "{sent} bytes sent for a job"
        );
        assert!(
            received <= length + 12 + per_bucket,
            "{received} bytes received"
        );
    }
}

#[test]
fn a_fire_takes_eight_commands_and_few_bytes_beside_its_payload() {
    const ENTRIES: usize = 1_000;
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let mut schedule = "[defaults]\nqueue = 'fired'\n".to_owned();
    for entry in 0..ENTRIES {
        let lines = "cron = '* * * * *'\nclass = 'Jobs::Report'";
        writeln!(schedule, "[schedule.entry_{entry}]\n{lines}").unwrap();
    }
    let once = |at: &str| {
        let url = network.url();
        let program = Program::new().args(["--once", "--yes", "--at", at, "--redis-url", &url]);
        let program = program.args(["--history", "1"]);
        program.schedule(&schedule).run().succeeded();
    };
    once("2026-01-01T00:00:30Z");
    // The history is full now, so each new record removes an old one.
    once("2026-01-01T00:01:00Z");
    Calls::forget(&mut redis);
    network.traffic();

    once("2026-01-01T00:02:00Z");

    assert_eq!(redis.queue("fired").len(), 2 * ENTRIES);
    let (calls, traffic) = (Calls::of(&mut redis), network.traffic());
    println!("{:?} {traffic:?}", calls.0);
    // Steps of 50, 100, 200 and 400 fires, and the rest.
    assert!(calls.count("evalsha") <= 5 + 5);
    assert!(calls.total() <= 8 * ENTRIES + 60);
    // In addition to the steps: connecting, and reading the records of the entries.
    assert!(traffic.round_trips <= 40, "{}", traffic.round_trips);
    let sent = traffic.sent / ENTRIES;
    let payload = r#"{"class":"Jobs::Report","args":[]}"#.len();
    assert!(sent <= payload + 120, "{sent} bytes for a fire");
}

#[test]
fn an_idle_second_takes_two_commands_and_one_round_trip() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let url = network.url();
    let program = Program::new().args(["--redis-url", &url]);
    let scheduler = program
        .schedule("[schedule.a]\ncron = '@yearly'\nqueue = 'q'\n")
        .start();
    scheduler.wait_for("became the leader holder=");
    let looks = |redis: &mut Redis, wanted: usize| {
        eventually(|| match Calls::of(redis).count("zrangebyscore") {
            looks if looks >= wanted => Ok(()),
            looks => Err(format!("{looks} looks")),
        });
    };
    // The start is over after three looks: the second may follow the first at once, the third takes a second.
    looks(&mut redis, 3);
    Calls::forget(&mut redis);
    network.traffic();

    looks(&mut redis, 10);

    let (calls, traffic) = (Calls::of(&mut redis), network.traffic());
    println!("{:?} {traffic:?}", calls.0);
    // Ten looks, and two renewals of five commands each. A third renewal may come at the very end.
    assert!(calls.total() <= 10 + 2 * 5 + 1 + 5, "{:?}", calls.0);
    assert!(traffic.round_trips <= 10 + 1 + 1, "{traffic:?}");
}

#[test]
fn a_changed_dynamic_entry_costs_the_same_among_20_000_others() {
    const ENTRIES: usize = 20_000;
    const CHANGES: usize = 10;
    let (entries, changed) = ("resque:persistent_schedules", "resque:schedules_changed");
    let mut redis = Redis::start();
    let mut set = redis::pipe();
    for number in 0..ENTRIES {
        let json = r#"{"cron":"0 0 1 1 *","queue":"q"}"#;
        set.hset(entries, format!("entry_{number}"), json).ignore();
    }
    set.hset(entries, "ticks", r#"{"every":"1s","queue":"ticks"}"#)
        .ignore();
    let () = set.query(&mut redis.connection).unwrap();
    let network = Proxy::to(&redis);
    let url = network.url();
    let scheduler = Program::new()
        .args(["--dynamic", "--redis-url", &url])
        .start();
    let fired = |redis: &mut Redis, wanted: usize| {
        eventually(|| match redis.queue("ticks").len() {
            fired if fired >= wanted => Ok(()),
            fired => Err(format!("{fired} fires\n{}", scheduler.log())),
        });
    };
    fired(&mut redis, 2);
    eventually(|| {
        let key = "resque:rescue_scheduler:entries";
        let published: usize = redis.connection.hlen(key).unwrap();
        let all = published == ENTRIES + 1;
        all.then_some(()).ok_or(format!("{published} published"))
    });
    let before = scheduler.log().len();
    Calls::forget(&mut redis);
    network.traffic();
    let mut slowest = Duration::ZERO;
    for number in 0..CHANGES {
        let so_far = redis.queue("ticks").len();
        let mut change = redis::pipe();
        let json = r#"{"cron":"0 0 2 1 *","queue":"q"}"#;
        change
            .hset(entries, format!("entry_{number}"), json)
            .ignore();
        change.sadd(changed, format!("entry_{number}")).ignore();
        let () = change.query(&mut redis.connection).unwrap();
        let start = now();
        eventually(|| match redis.connection.exists(changed) {
            Ok(false) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        slowest = slowest.max(start.elapsed());
        fired(&mut redis, so_far + 1);
    }
    let (calls, traffic) = (Calls::of(&mut redis), network.traffic());
    let log = scheduler.log()[before..].to_owned();
    let lateness = log
        .lines()
        .filter_map(|line| line.split_once("lateness_ms="));
    let mut lateness: Vec<u32> = lateness.map(|(_, ms)| ms.trim().parse().unwrap()).collect();
    println!(
        "in force after {slowest:?} at most; {lateness:?} ms late; {:?} {traffic:?}",
        calls.0
    );
    assert!(slowest < Duration::from_millis(1_500), "{slowest:?}");
    // Another process may have delayed one of the fires.
    lateness.sort_unstable();
    assert!(lateness[lateness.len() / 2] <= 20, "{lateness:?}");
    // The entry and its six records, which are read again when the entry is first seen. Each call of fires also
    // reads the paused entries.
    assert!(calls.count("hmget") <= 15 * CHANGES + 10);
    // Writing its records, acknowledging it, publishing it, and the fires meanwhile.
    assert!(calls.count("evalsha") <= 3 * CHANGES + lateness.len() + 10);
    // Three of these commands publish the entry. The test itself sends two commands in a loop, more on a slow
    // machine.
    let own = calls.count("exists") + calls.count("lrange");
    assert!(calls.total() - own <= 48 * CHANGES, "{:?}", calls.0);
    let bytes = (traffic.sent + traffic.received) / CHANGES;
    assert!(bytes <= 4_000, "{bytes} bytes for a change");
}

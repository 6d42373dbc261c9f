//! Failures of Redis and of connections to it.

use std::{net::TcpListener, time::Duration};

use nix::sys::signal::Signal;
use redis::{Commands, RedisResult};

use crate::harness::{
    Program, Redis, Scheduler, eventually, now,
    proxy::Proxy,
    ticks::{EACH_SECOND, goes_on_without_a_gap, wait_for_fires},
};

/// Returns a scheduler that is the leader and has fired.
fn started(redis: &mut Redis, url: &str) -> Scheduler {
    let scheduler = Program::new()
        .args(["--redis-url", url, "--lease", "2s"])
        .schedule(EACH_SECOND)
        .start();
    wait_for_fires(redis, &scheduler, 1);
    scheduler
}

/// Waits until `scheduler` has logged the outage, once and with `reason`.
#[track_caller]
fn notices(scheduler: &Scheduler, reason: &str) {
    scheduler.wait_for("cannot use Redis").status("unhealthy");
    assert!(scheduler.log().contains(reason), "{}", scheduler.log());
}

/// Waits until `scheduler` has recovered. Checks that no fire was lost or doubled, and that the recovery was logged
/// once.
#[track_caller]
fn recovers(redis: &mut Redis, scheduler: &Scheduler) {
    scheduler.wait_for("Redis is back").status(" healthy");
    goes_on_without_a_gap(redis, scheduler, 2);
    let log = scheduler.log();
    assert_eq!(log.matches("cannot use Redis").count(), 1, "{log}");
    assert_eq!(log.matches("Redis is back").count(), 1, "{log}");
}

#[test]
fn connection_reset() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let scheduler = started(&mut redis, &network.url());
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..100 {
        network.cut();
        std::thread::sleep(Duration::from_millis(random.u64(..80)));
    }
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    scheduler.status(" healthy");
}

#[test]
fn connection_reset_between_a_script_and_its_reply() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let scheduler = started(&mut redis, &network.url());
    let mut number = 0;
    let mut delay_some = |redis: &mut Redis| {
        for _ in 0..10 {
            redis.delay(
                1_000,
                format!(r#"{{"class":"C","args":[{number}],"queue":"q"}}"#),
            );
            number += 1;
        }
        number
    };
    while network.lost() < 40 {
        delay_some(&mut redis);
        network.lose_replies(2);
        std::thread::sleep(Duration::from_millis(50));
    }
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    let all = delay_some(&mut redis);
    let expected: Vec<String> = (0..all)
        .map(|number| format!(r#"{{"class":"C","args":[{number}]}}"#))
        .collect();
    eventually(|| match redis.queue("q") {
        queue if queue.len() < all => Err(format!("{} of {all}", queue.len())),
        queue => {
            assert!(queue == expected, "lost, doubled or out of order");
            Ok(())
        }
    });
    println!("{} replies lost, {all} delayed jobs", network.lost());
}

#[test]
fn dead_connection_without_an_error() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let scheduler = started(&mut redis, &network.url());
    network.silence();
    scheduler.wait_for("timed out");
    // Each loop has its own connection and waits for its own timeout.
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    scheduler.status(" healthy");
}

#[test]
fn restarted() {
    let mut redis = Redis::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let url = redis.url().to_owned();
    let scheduler = started(&mut redis, &url);
    redis.kill();
    notices(&scheduler, "unavailable");
    redis.revive();
    recovers(&mut redis, &scheduler);
}

#[test]
fn restarted_too_quickly_to_be_an_outage() {
    let mut redis = Redis::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let url = redis.url().to_owned();
    let scheduler = started(&mut redis, &url);
    redis.kill();
    redis.revive();
    goes_on_without_a_gap(&mut redis, &scheduler, 3);
}

#[test]
fn restarted_without_confirmed_writes() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    let scheduler = started(&mut redis, &url);
    redis.command("SAVE");
    let confirmed = wait_for_fires(&mut redis, &scheduler, 4).len();
    redis.kill();
    redis.revive();
    assert!(redis.queue("ticks").len() < confirmed, "nothing was lost");
    // Fires that were lost together with their jobs are enqueued again.
    goes_on_without_a_gap(&mut redis, &scheduler, confirmed);
}

#[test]
fn no_more_connections() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    let scheduler = started(&mut redis, &url);
    redis.command("CONFIG SET maxclients 1");
    redis.command("CLIENT KILL TYPE normal SKIPME yes");
    notices(&scheduler, "unavailable");
    std::thread::sleep(Duration::from_secs(3));
    redis.command("CONFIG SET maxclients 100");
    recovers(&mut redis, &scheduler);
}

/// A proxy or a firewall may keep connections to a server that is no longer the master. It answers without errors,
/// but with outdated data.
#[test]
fn connections_that_stay_with_an_old_master() {
    let (mut old, mut new) = (Redis::start(), Redis::start());
    let network = Proxy::to(&old);
    let scheduler = started(&mut old, &network.url());
    network.lead_to(&new);
    network.cut_leadership();
    let before = old.commands_processed();
    goes_on_without_a_gap(&mut new, &scheduler, 3);
    new.delay(1_000, crate::harness::item("q", 1));
    eventually(|| match new.queue("q").len() {
        1 => Ok(()),
        _ => Err(scheduler.log()),
    });
    let commands = old.commands_processed() - before;
    assert!(commands < 200, "{commands} commands to the old master");
}

#[test]
fn loading() {
    // Loading 3,000 keys takes about a millisecond each.
    let options = [
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--aof-use-rdb-preamble",
        "yes",
    ];
    let slow = [
        "--loading-process-events-interval-bytes",
        "1024",
        "--key-load-delay",
        "1000",
    ];
    let mut redis = Redis::with(&[&options[..], &slow[..]].concat());
    let mut fill = redis::pipe();
    (0..3000).for_each(|number| {
        fill.set(format!("filler:{number}"), "x".repeat(100))
            .ignore();
    });
    fill.exec(&mut redis.connection).unwrap();
    let url = redis.url().to_owned();
    let scheduler = started(&mut redis, &url);

    let watcher = std::thread::spawn(move || {
        let client = redis::Client::open(url).unwrap();
        eventually(|| {
            let answer = client
                .get_connection()
                .and_then(|mut it| it.get::<_, Option<String>>("filler:1"));
            match answer {
                Err(error) if error.code() == Some("LOADING") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    });
    redis.kill();
    redis.revive();
    watcher.join().unwrap();
    notices(&scheduler, "unavailable");
    recovers(&mut redis, &scheduler);
}

#[test]
fn readonly() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    let scheduler = started(&mut redis, &url);
    redis.command("REPLICAOF 127.0.0.1 1");
    notices(&scheduler, "read only replica");
    redis.command("REPLICAOF NO ONE");
    recovers(&mut redis, &scheduler);
}

#[test]
fn out_of_memory() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    let scheduler = started(&mut redis, &url);
    redis.command("CONFIG SET maxmemory 1");
    notices(&scheduler, "OOM");
    // Stay out of memory for longer than the lease. The leader keeps its lease.
    std::thread::sleep(Duration::from_millis(2500));
    redis.command("CONFIG SET maxmemory 0");
    recovers(&mut redis, &scheduler);
    assert_eq!(
        scheduler.log().matches("became the leader holder=").count(),
        1
    );
}

#[test]
fn scripts_flushed() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    let scheduler = started(&mut redis, &url);
    for _ in 0..5 {
        redis.command("SCRIPT FLUSH");
        goes_on_without_a_gap(&mut redis, &scheduler, 1);
    }
    let log = scheduler.log();
    assert!(!log.contains("cannot use Redis"), "{log}");
}

#[test]
fn busy() {
    let mut redis = Redis::with(&["--lua-time-limit", "50"]);
    let url = redis.url().to_owned();
    let scheduler = started(&mut redis, &url);
    let mut other = redis.connect();
    let endless = std::thread::spawn(move || {
        let endless: RedisResult<()> = redis::cmd("EVAL")
            .arg("while true do end")
            .arg(0)
            .query(&mut other);
        endless.unwrap_err().to_string()
    });
    notices(&scheduler, "BUSY");
    redis.command("SCRIPT KILL");
    println!("{}", endless.join().unwrap());
    recovers(&mut redis, &scheduler);
}

#[test]
fn no_permission() {
    let mut redis = Redis::start();
    redis.command("ACL SETUSER few on >pw ~* &* +@all");
    let url = format!("{}?user=few&pass=pw", redis.url());
    let scheduler = started(&mut redis, &url);
    redis.command("ACL SETUSER few -rpush");
    scheduler
        .wait_for("queue rejects the job")
        .status("unhealthy leading=true problems=\"entries whose queue rejects their job: 1");
    redis.command("ACL SETUSER few +rpush");
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    redis.command("ACL SETUSER few -evalsha");
    notices(&scheduler, "denies a command or a key to this user: ");
    redis.command("ACL SETUSER few +evalsha");
    scheduler.wait_for("Redis is back").status(" healthy");
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    redis.command("ACL SETUSER few -get");
    scheduler.wait_for(
        "denies a command or a key to this user: ResponseError: The user executing the script",
    );
    redis.command("ACL SETUSER few +get");
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
}

#[test]
fn a_missing_password_is_not_a_missing_database() {
    let redis = Redis::with(&["--requirepass", "pw"]);
    let url = format!("{}?db=1", redis.url());
    let scheduler = Program::new().args(["--redis-url", &url]).start();
    notices(&scheduler, "rejects the user or the password");
}

#[test]
fn wrong_password() {
    let mut redis = Redis::start();
    redis.command("ACL SETUSER few on >pw ~* &* +@all");
    let url = format!("{}?user=few&pass=secret", redis.url());
    let mut scheduler = Program::new().args(["--redis-url", &url]).start();
    notices(&scheduler, "rejects the user or the password");
    assert_eq!(scheduler.log().matches("cannot use Redis").count(), 1);
    assert!(!scheduler.log().contains("secret"), "{}", scheduler.log());
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(scheduler.ended().code(), Some(0));
}

#[test]
fn wrong_database() {
    let redis = Redis::start();
    let url = format!("{}?db=99", redis.url());
    let scheduler = Program::new().args(["--redis-url", &url]).start();
    notices(&scheduler, "has no such database: ");
    assert_eq!(scheduler.log().matches("cannot use Redis").count(), 1);
}

#[test]
fn a_database_that_the_user_may_not_select() {
    let mut redis = Redis::start();
    redis.command("ACL SETUSER few on >pw ~* &* +@all -select");
    let url = format!("{}?db=1&user=few&pass=pw", redis.url());
    let scheduler = Program::new().args(["--redis-url", &url]).start();
    notices(&scheduler, "denies a command or a key to this user: ");
    scheduler.wait_for("'select' command");
}

#[test]
fn slow() {
    let mut redis = Redis::with(&["--enable-debug-command", "yes"]);
    let url = redis.url().to_owned();
    let scheduler = started(&mut redis, &url);
    redis.command("DEBUG SLEEP 1.5");
    goes_on_without_a_gap(&mut redis, &scheduler, 1);
    // The next request may be a second away, and its timeout is two seconds.
    redis.command("DEBUG SLEEP 4");
    scheduler.wait_for("cannot use Redis");
    recovers(&mut redis, &scheduler);
}

#[test]
fn a_server_that_accepts_and_never_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let mut scheduler = Program::new()
        .args(["--redis-url", &url])
        .schedule(EACH_SECOND)
        .start();
    notices(&scheduler, "timed out");
    let asked = now();
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(scheduler.ended().code(), Some(0), "{}", scheduler.log());
    // A stop may take 850 ms. Without that limit it would take the timeout of 2 s.
    assert!(
        asked.elapsed() < Duration::from_millis(1500),
        "{}",
        scheduler.log()
    );
}

//! Large replies and requests on a slow network, which take longer than the timeout.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use redis::Commands;
use rescue_scheduler::{
    clock::{Clock, StoppedClock},
    engine::{Tick, delayed::Delayed},
    events::Events,
    store::Store as _,
};

use super::{holds, started};
use crate::{
    harness::{
        Program, Redis, item, now,
        proxy::Proxy,
        ticks::{EACH_SECOND, fire_times, goes_on_without_a_gap, wait_for_fires},
    },
    store::store_as,
};

const MEGABYTE: usize = 1_000_000;

/// Returns a delayed item of this many bytes for the queue `large`.
fn large_item(bytes: usize) -> String {
    let text = "x".repeat(bytes);
    format!(r#"{{"class":"Large","args":["{text}"],"queue":"large"}}"#)
}

#[test]
fn a_reply_may_take_longer_than_the_timeout_as_long_as_bytes_arrive() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let scheduler = started(&mut redis, &network.url(), []);
    network.limit(5 * MEGABYTE);
    redis.delay(1_000, large_item(15 * MEGABYTE));
    for number in 0..1_000 {
        redis.delay(2_000, item("q", number));
    }
    holds(&mut redis, &scheduler, "q", 1_000);
    let large: usize = redis.connection.llen("resque:queue:large").unwrap();
    assert_eq!(large, 1);
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    let log = scheduler.log();
    assert!(!log.contains("cannot use Redis"), "{log}");
    assert!(!log.contains("no longer the leader"), "{log}");
}

#[test]
fn entries_fire_while_16_mb_of_dynamic_entries_change() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let scheduler = started(&mut redis, &network.url(), ["--dynamic"]);
    network.limit(5 * MEGABYTE);
    let text = "x".repeat(16_000);
    let entry = format!(r#"{{"class":"C","queue":"q","every":"1h","args":["{text}"]}}"#);
    let mut set = redis::pipe();
    for number in 0..1_000 {
        set.hset("resque:persistent_schedules", number, &entry)
            .ignore();
    }
    set.sadd("resque:schedules_changed", 0);
    let () = set.query(&mut redis.connection).unwrap();
    let fired = fire_times(&mut redis).len();
    let started = now();
    scheduler.wait_for("dynamic entries changed");
    println!("read in {:?}", started.elapsed());
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    assert!(fire_times(&mut redis).len() > fired);
    let log = scheduler.log();
    assert!(!log.contains("cannot use Redis"), "{log}");
    scheduler.status(" healthy");
}

#[test]
fn entries_fire_while_dynamic_entries_are_first_read() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let text = "x".repeat(30_000);
    let entry = format!(r#"{{"class":"C","queue":"q","every":"1h","args":["{text}"]}}"#);
    let mut set = redis::pipe();
    for number in 0..200 {
        set.hset("resque:persistent_schedules", number, &entry)
            .ignore();
    }
    // The entry `other` of the file fires only if no dynamic entry replaces it.
    set.hset("resque:persistent_schedules", "other", "{}");
    let () = set.query(&mut redis.connection).unwrap();
    network.limit(MEGABYTE);
    let schedule =
        format!("{EACH_SECOND}[schedule.other]\nevery = '1s'\nclass = 'O'\nqueue = 'others'\n");
    let program = Program::new().args(["--redis-url", &network.url(), "--dynamic"]);
    let scheduler = program.schedule(&schedule).start();
    wait_for_fires(&mut redis, &scheduler, 2);
    scheduler.status("reading dynamic entries");
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    scheduler.wait_for("dynamic entries changed");
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    assert_eq!(redis.queue("others"), [""; 0]);
    let log = scheduler.log();
    assert!(!log.contains("cannot use Redis"), "{log}");
    assert_eq!(log.matches("dynamic entries changed").count(), 1, "{log}");
}

#[test]
fn a_slow_status_report_delays_no_reload() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let text = "x".repeat(30_000);
    let entry = format!(r#"{{"class":"C","queue":"q","every":"1h","args":["{text}"]}}"#);
    let mut set = redis::pipe();
    for number in 0..200 {
        set.hset("resque:persistent_schedules", number, &entry)
            .ignore();
    }
    let () = set.query(&mut redis.connection).unwrap();
    let scheduler = started(&mut redis, &network.url(), ["--dynamic"]);
    scheduler.wait_for("dynamic entries changed");
    network.limit(MEGABYTE);
    // Logging its entries takes six seconds.
    scheduler.status(" healthy");
    let asked = now();
    scheduler.status(" healthy");
    scheduler.signal(Signal::SIGHUP);
    scheduler.wait_for("schedule reloaded");
    let taken = asked.elapsed();
    assert!(taken < Duration::from_secs(3), "{taken:?}");
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
}

#[test]
fn large_fires_do_not_delay_small_ones() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    network.limit(MEGABYTE);
    let mut schedule = EACH_SECOND.to_owned();
    let text = "x".repeat(200_000);
    for number in 0..25 {
        let lines = "every = '1h'\nfirst = '2s'\nclass = 'Large'\nqueue = 'large'";
        writeln!(
            schedule,
            "[schedule.large_{number}]\n{lines}\nargs = ['{text}']"
        )
        .unwrap();
    }
    let program = Program::new().args(["--redis-url", &network.url()]);
    let scheduler = program.schedule(&schedule).start();
    crate::harness::eventually(|| match redis.queue("large").len() {
        25 => Ok(()),
        fired => Err(format!("{fired} of 25\n{}", scheduler.log())),
    });
    goes_on_without_a_gap(&mut redis, &scheduler, 1);
    let log = scheduler.log();
    let ticks = log.lines().filter(|line| line.contains("entry=\"tick\""));
    let lateness = ticks.filter_map(|line| line.split_once("lateness_ms="));
    let lateness: Vec<u32> = lateness.map(|(_, ms)| ms.trim().parse().unwrap()).collect();
    println!("{lateness:?} ms late");
    assert!(
        lateness.len() > 2 && lateness.iter().all(|ms| *ms < 1_500),
        "{log}"
    );
}

#[test]
fn a_reply_that_stalls_times_out_after_2_seconds() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let scheduler = started(&mut redis, &network.url(), []);
    network.limit(MEGABYTE);
    redis.delay(1_000, large_item(10 * MEGABYTE));
    std::thread::sleep(Duration::from_secs(4));
    assert!(
        !scheduler.log().contains("cannot use Redis"),
        "{}",
        scheduler.log()
    );
    let silent_since = now();
    network.silence();
    scheduler.wait_for("timed out");
    let taken = silent_since.elapsed();
    println!("given up after {taken:?}");
    assert!(taken < Duration::from_millis(3_500), "{taken:?}");
    network.limit(0);
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
}

#[tokio::test]
async fn after_an_error_a_single_job_is_read_then_twice_as_many_each_time() {
    const JOBS: usize = 100;
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    for number in 0..JOBS {
        redis.delay(1_000, item("q", number));
    }
    let store = store_as(&network.url(), "here:1", "a", None);
    store
        .take_lease(Duration::from_secs(60), None, None)
        .await
        .unwrap();
    let now = DateTime::from_timestamp(2_000, 0).unwrap();
    let mut delayed = Delayed::new(store, Arc::new(StoppedClock(now)), 1_000, Events::default());
    network.lose_replies(1);
    delayed.tick(now).await.unwrap_err();
    let mut lengths = vec![];
    while delayed.tick(now).await.unwrap() == Tick::More {
        lengths.push(redis.queue("q").len());
    }
    println!("{lengths:?}");
    assert_eq!(lengths[0], 1);
    for (before, after) in lengths.iter().zip(&lengths[1..]) {
        assert!(after - before <= 2 * before, "{lengths:?}");
    }
    assert!(lengths.len() > 4, "{lengths:?}");
    assert_eq!(redis.queue("q").len(), JOBS);
}

/// Returns a port that forwards to `redis`. Clients can send this many bytes per second; replies are not limited.
fn slow_port(redis: &Redis, bytes_per_second: u64) -> u16 {
    let socket = redis.url().trim_start_matches("unix://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), UnixStream::connect(&socket).unwrap());
            let (mut to_client, mut from_server) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from_server, &mut to_client));
            thread::spawn(move || {
                let mut buffer = vec![0; 16_384];
                while let Ok(read @ 1..) = client.read(&mut buffer)
                    && server.write_all(&buffer[..read]).is_ok()
                {
                    let micros = read as u64 * 1_000_000 / bytes_per_second;
                    thread::sleep(Duration::from_micros(micros));
                }
                let _ = server.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    port
}

/// Returns a large item whose payload must be sent too, because the payload is not a prefix of the item.
fn item_of_another_client(bytes: usize) -> String {
    let text = "x".repeat(bytes);
    format!(r#"{{"queue":"large","class":"Large","args":["{text}"]}}"#)
}

#[test]
fn sending_may_take_longer_than_the_timeout_as_long_as_bytes_leave() {
    let mut redis = Redis::start();
    let port = slow_port(&redis, 400_000);
    redis.delay(1_000, item_of_another_client(MEGABYTE));
    redis.delay(2_000, item("q", 0));
    let url = format!("redis://127.0.0.1:{port}");
    let scheduler = started(&mut redis, &url, []);
    holds(&mut redis, &scheduler, "q", 1);
    assert_eq!(redis.queue("large").len(), 1);
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    let log = scheduler.log();
    assert!(!log.contains("cannot use Redis"), "{log}");
}

#[test]
fn jobs_behind_a_large_item_that_cannot_be_sent_are_moved() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    let scheduler = started(&mut redis, &network.url(), []);
    network.swallow_requests_of(100_000);
    let large = item_of_another_client(150_000);
    redis.delay(1_000, &large);
    for number in 0..100 {
        redis.delay(2_000, item("q", number));
    }
    holds(&mut redis, &scheduler, "q", 100);
    let trouble = format!(
        "buckets that cannot be moved: 1, the first is delayed:1000 (an item of {} bytes waits",
        large.len()
    );
    scheduler.status(&trouble);
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
}

/// A clock whose time does not change. Its monotonic clock runs and can be advanced.
#[derive(Clone)]
struct AdvancingClock(DateTime<Utc>, Arc<AtomicU64>);

impl Clock for AdvancingClock {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    fn monotonic(&self) -> Instant {
        now() + Duration::from_secs(self.1.load(SeqCst))
    }
}

#[tokio::test]
async fn a_large_item_that_waits_is_tried_again_when_nothing_else_is_due() {
    let mut redis = Redis::start();
    let network = Proxy::to(&redis);
    redis.delay(1_000, item_of_another_client(150_000));
    for number in 0..100 {
        redis.delay(2_000, item("q", number));
    }
    let store = store_as(&network.url(), "here:1", "a", None);
    store
        .take_lease(Duration::from_secs(60), None, None)
        .await
        .unwrap();
    let now = DateTime::from_timestamp(3_000, 0).unwrap();
    let advanced = Arc::new(AtomicU64::new(0));
    let clock = AdvancingClock(now, Arc::clone(&advanced));
    let mut delayed = Delayed::new(store, Arc::new(clock), 1_000, Events::default());
    network.swallow_requests_of(100_000);
    for _ in 0..2 {
        delayed.tick(now).await.unwrap_err();
    }
    while delayed.tick(now).await.unwrap() == Tick::More {}
    assert_eq!((redis.queue("q").len(), delayed.undone()), (100, 1));

    network.swallow_requests_of(0);
    advanced.store(1_000, SeqCst);
    let later = now + chrono::TimeDelta::seconds(10);
    while delayed.tick(later).await.unwrap() == Tick::More {}
    assert_eq!((redis.queue("large").len(), delayed.undone()), (1, 0));
}

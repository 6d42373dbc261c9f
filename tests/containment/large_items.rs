//! Delayed jobs that are too large to be read.

use std::time::Duration;

use redis::Commands;

use super::{holds, quarantined, started};
use crate::harness::{Redis, delay, item, now, payload, ticks::goes_on_without_a_gap};

const MEGABYTE: usize = 1 << 20;

fn large_item(bytes: usize) -> Vec<u8> {
    let text = "x".repeat(bytes);
    format!(r#"{{"class":"Large","args":["{text}"],"queue":"large"}}"#).into_bytes()
}

#[test]
fn an_item_of_40_mb_is_set_aside_within_redis_and_the_rest_of_its_bucket_is_moved() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    let large = large_item(40 * MEGABYTE);
    redis.delay(1_000, item("q", 0));
    redis.delay(1_000, &large);
    redis.delay(1_000, item("q", 1));
    for number in 2..1_000 {
        redis.delay(2_000, item("q", number));
    }
    let scheduler = started(&mut redis, &url, []);

    holds(&mut redis, &scheduler, "q", 1_000);

    let record = &quarantined(&mut redis, &scheduler, 1)[0];
    assert_eq!(record["bucket"], "delayed:1000");
    assert_eq!(
        record["reason"],
        format!("too large: {} bytes", large.len())
    );
    assert_eq!(record["item_bytes"], large.len());
    let aside = "rescue_scheduler:quarantine:delayed:1000";
    assert_eq!(record["item_key"], aside);
    let kept: Vec<Vec<u8>> = redis
        .connection
        .lrange(format!("resque:{aside}"), 0, -1)
        .unwrap();
    assert!(kept == [large.clone()], "changed");
    let index = [b"resque:timestamps:", &large[..]].concat();
    assert!(!redis.connection.exists::<_, bool>(index).unwrap());
    goes_on_without_a_gap(&mut redis, &scheduler, 2);
    scheduler.status(" healthy leading=true quarantined=1");
    let log = scheduler.log();
    assert!(!log.contains("cannot use Redis"), "{log}");
    assert_eq!(log.matches("moved it to quarantine").count(), 1, "{log}");
}

#[test]
fn an_item_that_was_set_aside_can_be_put_back() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    redis.delay(1_000, large_item(5_000));
    let scheduler = started(&mut redis, &url, ["--max-item-size", "4k"]);
    quarantined(&mut redis, &scheduler, 1);
    drop(scheduler);

    // The commands of docs/protocol.md.
    redis.command("RPOPLPUSH resque:rescue_scheduler:quarantine:delayed:1000 resque:delayed:1000");
    redis.command("ZADD resque:delayed_queue_schedule 1000 1000");
    let scheduler = started(&mut redis, &url, ["--max-item-size", "8k"]);

    crate::harness::eventually(|| match redis.queue("large").len() {
        1 => Ok(()),
        _ => Err(scheduler.log()),
    });
}

#[test]
fn many_large_items_are_read_a_few_at_a_time() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    // Small items come first, so that the batch is large.
    let mut pipe = redis::pipe();
    for number in 0..200 {
        delay(&mut pipe, 1_000, item("q", number).as_bytes());
    }
    for _ in 0..60 {
        delay(&mut pipe, 1_000, &large_item(MEGABYTE));
    }
    for number in 200..210 {
        delay(&mut pipe, 1_000, item("q", number).as_bytes());
    }
    pipe.exec(&mut redis.connection).unwrap();
    let scheduler = started(&mut redis, &url, []);
    holds(&mut redis, &scheduler, "q", 210);
    assert_eq!(redis.queue("large").len(), 60);
    let peak = scheduler.memory("VmHWM");
    println!("{peak} kB at most");
    assert!(peak < 40_000, "{peak} kB at most, of 60 MB of items");
}

#[test]
fn redis_reads_few_large_items_at_a_time_behind_small_ones() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    for number in 0..150 {
        redis.delay(1_000, item("q", number));
    }
    // Add the items one by one, so that Redis buffers only one of them.
    for _ in 0..70 {
        redis.delay(1_000, large_item(2 * MEGABYTE));
    }
    let before = memory(&mut redis, "used_memory");
    let scheduler = started(&mut redis, &url, []);
    holds(&mut redis, &scheduler, "q", 150);
    crate::harness::eventually(|| match redis.connection.llen("resque:queue:large") {
        Ok(70) => Ok(()),
        moved => Err(format!("{moved:?} of 70\n{}", scheduler.log())),
    });
    let more = memory(&mut redis, "used_memory_peak").saturating_sub(before) / MEGABYTE;
    println!("Redis took {more} MiB more");
    assert!(
        more < 80,
        "{more} MiB more, for 64 items of 2 MiB at a time"
    );
}

/// Returns a memory statistic of Redis, in bytes.
fn memory(redis: &mut Redis, name: &str) -> usize {
    let info: String = redis::cmd("INFO")
        .arg("memory")
        .query(&mut redis.connection)
        .unwrap();
    let mut figures = info.lines().filter_map(|line| line.split_once(':'));
    let (_, bytes) = figures.find(|(it, _)| *it == name).unwrap();
    bytes.parse().unwrap()
}

#[test]
fn memory_shrinks_after_a_large_item() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    let scheduler = started(&mut redis, &url, ["--max-item-size", "64m"]);
    redis.delay(1_000, large_item(50 * MEGABYTE));
    redis.delay(1_000, item("q", 0));
    holds(&mut redis, &scheduler, "q", 1);
    assert_eq!(redis.queue("large").len(), 1);
    assert_eq!(redis.queue("q"), [payload(0)]);
    let asked = now();
    while scheduler.memory("VmRSS") > 30_000 {
        let taken = asked.elapsed();
        assert!(
            taken < Duration::from_secs(10),
            "{} kB",
            scheduler.memory("VmRSS")
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    println!(
        "{} kB, {} kB at most",
        scheduler.memory("VmRSS"),
        scheduler.memory("VmHWM")
    );
}

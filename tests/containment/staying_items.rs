//! Delayed jobs that must stay in their buckets, and other jobs behind them.

use std::fmt::Write as _;

use redis::Commands;

use super::{denied_queues::user, holds, quarantined, started};
use crate::harness::{
    Program, QUARANTINE, Redis, delay, eventually, item, payload,
    proxy::Proxy,
    ticks::{EACH_SECOND, goes_on_without_a_gap, wait_for_fires},
};

fn bucket(redis: &mut Redis, timestamp: i64) -> Vec<String> {
    let key = format!("resque:delayed:{timestamp}");
    redis.connection.lrange(key, 0, -1).unwrap()
}

#[test]
fn a_job_for_a_denied_queue_in_each_bucket_blocks_no_other_job() {
    let mut redis = Redis::start();
    let url = user(&mut redis);
    for second in 0..50 {
        let number = usize::try_from(second).unwrap();
        redis.delay(1_000 + second, item("secret", number));
        redis.delay(1_000 + second, item("q", 2 * number));
        redis.delay(1_000 + second, item("q", 2 * number + 1));
    }
    let scheduler = started(&mut redis, &url, []);

    holds(&mut redis, &scheduler, "q", 100);
    scheduler.status("buckets that cannot be moved: 50, the first is delayed:1000");
    for second in 0..50 {
        let number = usize::try_from(second).unwrap();
        assert_eq!(bucket(&mut redis, 1_000 + second), [item("secret", number)]);
    }
    goes_on_without_a_gap(&mut redis, &scheduler, 2);

    redis.command("ACL SETUSER few ~resque:queue:*");
    holds(&mut redis, &scheduler, "secret", 50);
    scheduler.status(" healthy");
    let left: Vec<String> = redis.connection.keys("resque:timestamps:*").unwrap();
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_batch_of_one_job_passes_over_jobs_that_stay() {
    let mut redis = Redis::start();
    let url = user(&mut redis);
    for number in 0..5 {
        redis.delay(1_000, item("secret", number));
        redis.delay(1_000, item("q", number));
    }
    let program = Program::new().args(["--redis-url", &url, "--quiet"]);
    let scheduler = program
        .env("DELAYED_REQUEUE_BATCH_SIZE", "1")
        .schedule(EACH_SECOND)
        .start();
    holds(&mut redis, &scheduler, "q", 5);
    scheduler.status("buckets that cannot be moved: 1");
    redis.command("CONFIG RESETSTAT");
    goes_on_without_a_gap(&mut redis, &scheduler, 3);
    let commands = redis.commands_processed();
    assert!(commands < 1_000, "{commands} commands in three seconds");
}

/// The jobs that stay fill many batches, and so do the jobs between and behind them.
#[test]
fn any_number_of_jobs_that_stay_in_a_bucket_keep_their_order_and_block_no_other_job() {
    const STAY: usize = 3_000;
    let mut redis = Redis::start();
    let url = user(&mut redis);
    let mut pipe = redis::pipe();
    for number in 0..STAY {
        delay(&mut pipe, 1_000, item("secret", number).as_bytes());
        if number % 10 == 0 {
            delay(&mut pipe, 1_000, item("q", number / 10).as_bytes());
        }
    }
    for number in STAY / 10..1_000 {
        delay(&mut pipe, 1_000, item("q", number).as_bytes());
    }
    pipe.exec(&mut redis.connection).unwrap();
    // Behind them are an item that is too large, and a job behind that.
    redis.delay(1_000, vec![b'x'; 2_000]);
    redis.delay(1_000, item("q", 1_000));
    redis.delay(1_001, item("other", 0));
    let scheduler = started(&mut redis, &url, ["--max-item-size", "1k"]);

    holds(&mut redis, &scheduler, "q", 1_001);
    holds(&mut redis, &scheduler, "other", 1);
    quarantined(&mut redis, &scheduler, 1);
    let expected: Vec<String> = (0..STAY).map(|it| item("secret", it)).collect();
    assert_eq!(bucket(&mut redis, 1_000), expected);
    for (queue, there) in [("secret", true), ("q", false)] {
        let index = format!("resque:timestamps:{}", item(queue, 7));
        let held: bool = redis.connection.exists(index).unwrap();
        assert_eq!(held, there, "the reverse index of {queue}");
    }
    scheduler.status("buckets that cannot be moved: 1, the first is delayed:1000");

    // Apps remove some of the jobs that stay, and add others.
    let () = redis
        .connection
        .lrem("resque:delayed:1000", 0, item("secret", 0))
        .unwrap();
    redis.delay(1_000, item("q", 1_001));
    redis.delay(1_000, item("secret", STAY));
    holds(&mut redis, &scheduler, "q", 1_002);

    redis.command("ACL SETUSER few ~resque:queue:*");
    let expected: Vec<String> = (1..=STAY).map(payload).collect();
    eventually(|| match redis.queue("secret") {
        held if held.len() < STAY => Err(format!("{}\n{}", held.len(), scheduler.log())),
        held => {
            assert!(held == expected, "lost, doubled or out of order");
            Ok(())
        }
    });
    scheduler.status(" healthy");
    let left: usize = redis.connection.exists("resque:delayed:1000").unwrap();
    assert_eq!(left, 0);
}

#[test]
fn many_jobs_that_stay_are_not_sent_again_every_second() {
    let mut redis = Redis::start();
    user(&mut redis);
    let mut pipe = redis::pipe();
    for number in 0..20_000 {
        delay(&mut pipe, 1_000, item("secret", number).as_bytes());
    }
    pipe.exec(&mut redis.connection).unwrap();
    redis.delay(1_000, item("q", 0));
    let network = Proxy::to(&redis);
    let url = format!("{}?user=few&pass=pw", network.url());
    let scheduler = started(&mut redis, &url, ["--quiet"]);
    holds(&mut redis, &scheduler, "q", 1);
    // The jobs are tried again at once, and then every twenty seconds.
    scheduler.status("buckets that cannot be moved: 1");
    std::thread::sleep(std::time::Duration::from_secs(3));

    network.traffic();
    goes_on_without_a_gap(&mut redis, &scheduler, 6);
    let traffic = network.traffic();
    println!("{traffic:?}");
    assert!(
        traffic.sent < 50_000 && traffic.received < 50_000,
        "{traffic:?}"
    );
}

#[test]
fn jobs_behind_one_that_the_full_quarantine_rejects_are_moved() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    redis.command("SET resque:queue:broken x");
    for second in 0..20 {
        let number = usize::try_from(second).unwrap();
        redis.delay(1_000 + second, format!("garbage {second}"));
        redis.delay(1_000 + second, item("broken", number));
        redis.delay(1_000 + second, item("q", number));
    }
    let scheduler = started(&mut redis, &url, ["--quarantine-limit", "3"]);

    holds(&mut redis, &scheduler, "q", 20);
    quarantined(&mut redis, &scheduler, 3);
    scheduler
        .wait_for("reason=\"the quarantine is full\"")
        .status("quarantined=3");

    // Jobs leave the buckets only after the jobs before them went to quarantine.
    let waiting = |redis: &mut Redis| {
        let zcard = redis.connection.zcard("resque:delayed_queue_schedule");
        let waiting: usize = zcard.unwrap();
        waiting
    };
    assert!(waiting(&mut redis) > 15);
    redis.command("DEL resque:queue:broken");
    eventually(|| {
        // Make room in the quarantine.
        redis.command(&format!("LTRIM {QUARANTINE} 3 -1"));
        match waiting(&mut redis) {
            0 => Ok(()),
            left => Err(format!("{left} buckets wait\n{}", scheduler.log())),
        }
    });
    let moved = redis.queue("broken");
    let expected: Vec<String> = (20 - moved.len()..20).map(payload).collect();
    assert_eq!(moved, expected);
    scheduler.status(" healthy");
}

#[test]
fn four_hundred_denied_queues_cost_no_further_calls_and_recover_within_seconds() {
    const QUEUES: usize = 400;
    let mut redis = Redis::start();
    let url = user(&mut redis);
    let mut schedule = EACH_SECOND.to_owned();
    let mut pipe = redis::pipe();
    for number in 0..QUEUES {
        let queue = format!("secret_{number}");
        let lines = "every = '1h'\nfirst = 'now'";
        writeln!(schedule, "[schedule.{queue}]\n{lines}\nqueue = '{queue}'").unwrap();
        delay(&mut pipe, 1_000, item(&queue, 0).as_bytes());
    }
    delay(&mut pipe, 1_000, item("q", 0).as_bytes());
    pipe.exec(&mut redis.connection).unwrap();
    let program = Program::new().args(["--redis-url", &url, "--lease", "5s"]);
    let scheduler = program.schedule(&schedule).start();
    holds(&mut redis, &scheduler, "q", 1);
    wait_for_fires(&mut redis, &scheduler, 3);
    scheduler
        .status("entries whose queue rejects their job: 400")
        .status("queues that reject delayed jobs: 400");

    redis.command("CONFIG RESETSTAT");
    goes_on_without_a_gap(&mut redis, &scheduler, 5);
    let stats: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut redis.connection)
        .unwrap();
    let calls = stats.split("cmdstat_evalsha:calls=").nth(1).unwrap();
    let calls: usize = calls.split(',').next().unwrap().parse().unwrap();
    // Per second, the fires of all entries take four or five calls, and the jobs that stay take about two.
    println!("{calls} calls of scripts in five seconds");
    assert!(calls < 75, "{calls} calls of scripts in five seconds");

    redis.command("ACL SETUSER few ~resque:queue:*");
    eventually(|| {
        let waiting = (0..QUEUES).filter(|it| redis.queue(&format!("secret_{it}")).len() < 2);
        match waiting.count() {
            0 => Ok(()),
            waiting => Err(format!("{waiting} queues wait\n{}", scheduler.log())),
        }
    });
    scheduler.status(" healthy");
}

#[test]
fn a_queue_that_takes_jobs_again_is_no_longer_a_problem() {
    let mut redis = Redis::start();
    let url = redis.url().to_owned();
    for queue in ["a", "b", "c"] {
        redis.command(&format!("SET resque:queue:{queue} x"));
        redis.delay(1_000, item(queue, 0));
    }
    let scheduler = started(&mut redis, &url, []);
    quarantined(&mut redis, &scheduler, 3);
    scheduler.status("queues that reject delayed jobs: 3, the first is a (");
    redis.command("DEL resque:queue:c");
    scheduler.status("queues that reject delayed jobs: 2, the first is a (");
    redis.command("DEL resque:queue:b");
    scheduler.status("queues that reject delayed jobs: 1, the first is a (");
}

//! Apps that add and remove delayed jobs in the very buckets that are being moved.

use std::{
    collections::HashMap,
    thread::{self, JoinHandle},
    time::Duration,
};

use redis::{Commands, Connection};

use crate::harness::{Program, Redis, eventually, item, payload, unix_now};

const APPS: usize = 4;
const JOBS_EACH: usize = 2_500;

/// `enqueue_at` with the commands of the gem in the same order, without a transaction.
fn enqueue_at(redis: &mut Connection, timestamp: i64, item: &str) {
    let bucket = format!("delayed:{timestamp}");
    let () = redis.rpush(format!("resque:{bucket}"), item).unwrap();
    let () = redis
        .sadd(format!("resque:timestamps:{item}"), &bucket)
        .unwrap();
    let schedule = "resque:delayed_queue_schedule";
    let () = redis.zadd(schedule, timestamp, timestamp).unwrap();
}

/// `remove_delayed` of the gem. Returns how many jobs it removed.
fn remove_delayed(redis: &mut Connection, item: &str) -> usize {
    let index = format!("resque:timestamps:{item}");
    let buckets: Vec<String> = redis.smembers(&index).unwrap();
    if buckets.is_empty() {
        return 0;
    }
    let mut removals = redis::pipe();
    for bucket in &buckets {
        removals.lrem(format!("resque:{bucket}"), 0, item);
        removals.srem(&index, bucket).ignore();
    }
    let removed: Vec<usize> = removals.query(redis).unwrap();
    removed.iter().sum()
}

/// An app that adds its jobs to buckets that become due meanwhile, and removes every third job after a while.
/// Returns the jobs that it removed.
fn app(mut redis: Connection, first: usize) -> JoinHandle<Vec<usize>> {
    thread::spawn(move || {
        let mut random = fastrand::Rng::with_seed(first as u64);
        let (mut removed, mut to_remove) = (vec![], vec![]);
        for number in first..first + JOBS_EACH {
            let timestamp = unix_now() + random.i64(0..2);
            enqueue_at(&mut redis, timestamp, &item("q", number));
            if number % 3 == 0 {
                to_remove.push(number);
            }
            if to_remove.len() == 50 {
                for number in to_remove.drain(..) {
                    if remove_delayed(&mut redis, &item("q", number)) > 0 {
                        removed.push(number);
                    }
                }
                thread::sleep(Duration::from_millis(random.u64(0..30)));
            }
        }
        removed
    })
}

#[test]
fn a_removed_job_is_removed_or_enqueued_never_both_and_no_third_is_dropped() {
    let mut redis = Redis::start();
    let schedulers = [(); 2].map(|()| Program::on(&redis).args(["--lease", "1s"]).start());
    eventually(|| {
        let leads = |it: &crate::harness::Scheduler| it.log().contains("became the leader holder=");
        if schedulers.iter().any(leads) {
            Ok(())
        } else {
            Err("none leads")
        }
    });
    let apps: Vec<_> = (0..APPS)
        .map(|it| app(redis.connect(), it * JOBS_EACH))
        .collect();
    let removed: Vec<usize> = apps.into_iter().flat_map(|it| it.join().unwrap()).collect();
    redis.wait_until_all_are_moved();

    let mut times: HashMap<String, usize> = HashMap::new();
    let moved = redis.queue("q");
    let removed = removed.into_iter().map(payload);
    let (moved_count, removed_count) = (moved.len(), removed.len());
    for job in moved.into_iter().chain(removed) {
        *times.entry(job).or_default() += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    let lost = APPS * JOBS_EACH - times.len();
    println!(
        "{moved_count} moved, {removed_count} removed, {lost} lost, {} both",
        twice.len()
    );
    assert!(lost == 0 && twice.is_empty(), "{twice:?}");
    assert!(removed_count > 100, "the race was none");
}

//! Measures how the cost of a job grows, in microseconds, and how a backlog affects other work.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use redis::{Commands as _, Connection};

use crate::{
    bed::{LOCK, Redis, Scheduler, median},
    firing,
    moving::{LAST_QUEUE, Shape},
};

/// Returns the costs for growing numbers of jobs, with `at_each` jobs at each timestamp.
pub fn jobs(at_each: usize) -> Vec<f64> {
    costs([10_000, 100_000, 1_000_000].map(|jobs| Shape {
        jobs,
        at_each: at_each.min(jobs),
        bytes: 0,
        queues: 1,
    }))
}

/// Returns the costs for growing numbers of queues.
pub fn queues() -> Vec<f64> {
    costs([1, 100, 10_000].map(|queues| Shape {
        jobs: 100_000,
        at_each: 10,
        bytes: 0,
        queues,
    }))
}

/// Returns the cost of a job for each shape. The shapes take turns, so that a machine that becomes slower affects all.
fn costs(shapes: [Shape; 3]) -> Vec<f64> {
    let mut redis = Redis::start();
    let mut costs = shapes.map(|shape| (shape, vec![]));
    for _ in 0..3 {
        for (shape, costs) in &mut costs {
            costs.push(1e6 / shape.ours(&mut redis).per_second);
        }
    }
    costs.map(|(_, costs)| median(costs)).to_vec()
}

/// Returns the costs for growing payloads, as ratios to the bare script.
pub fn payloads() -> Vec<f64> {
    let ratio = |bytes: usize| {
        let shape = Shape {
            jobs: (20_000_000 / bytes).clamp(2_000, 50_000),
            at_each: 10,
            bytes,
            queues: 1,
        };
        1.0 / shape.measure().2
    };
    [100, 1_000, 10_000, 100_000].map(ratio).to_vec()
}

/// Returns the costs for growing numbers of entries that fire at one second.
///
/// A cost is by how much later the last job is in its queue, for each additional entry.
pub fn entries() -> Vec<f64> {
    let sizes: [u32; 4] = [100, 1_000, 10_000, 100_000];
    let last = sizes.map(|entries| {
        let bursts = firing::burst(entries as usize, 5).into_iter();
        (entries, median(bursts.map(|burst| burst.last).collect()))
    });
    let more = last.windows(2).map(|pair| {
        let [(fewer, before), (entries, after)] = [pair[0], pair[1]];
        (after - before) * 1e3 / f64::from(entries - fewer)
    });
    more.collect()
}

/// The effects on other work while a backlog is moved.
pub struct Fairness {
    /// The lateness of one fire every second in milliseconds, sorted.
    pub fires: Vec<f64>,
    /// The times of `PING` commands of another client in milliseconds, sorted.
    pub pings: Vec<f64>,
    /// The shortest remaining time of the lease in seconds. It is 15 seconds long and renewed every five seconds.
    pub lease: f64,
    /// The peak memory of the program in MB.
    pub memory: f64,
}

/// Moves a million due jobs, one at each timestamp, and measures the effects on other work.
pub fn fairness() -> Fairness {
    let shape = Shape {
        jobs: 1_000_000,
        at_each: 1,
        bytes: 0,
        queues: 1,
    };
    let mut redis = Redis::start();
    shape.load(&mut redis.connection);
    shape.add_last(&mut redis.connection);
    redis.hold_lead();
    let scheduler = Scheduler::start(&redis, &firing::entries(10, "cron = '* * * * * *'"));
    scheduler.wait_for("following");
    let over = AtomicBool::new(false);
    let (mut worker, mut other) = (redis.connect(), redis.connect());
    let (fires, (pings, lease)) = thread::scope(|scope| {
        let fires = scope.spawn(|| lateness(&mut worker, &over));
        redis.let_lead();
        scheduler.wait_for("became the leader holder=");
        let pings = scope.spawn(|| pings(&mut other, &over));
        let _: (String, String) = redis.connection.blpop(LAST_QUEUE, 300.0).unwrap();
        over.store(true, Relaxed);
        (fires.join().unwrap(), pings.join().unwrap())
    });
    assert!(!scheduler.log().contains("no longer the leader"));
    let memory = scheduler.megabytes("VmHWM:");
    drop(scheduler);
    for key in ["fired", "delayed"] {
        let () = redis.connection.del(format!("resque:queue:{key}")).unwrap();
    }
    shape.all_moved(&mut redis);
    Fairness {
        fires,
        pings,
        lease,
        memory,
    }
}

/// Returns the lateness of the jobs that are fired until `over` is set, in milliseconds.
fn lateness(redis: &mut Connection, over: &AtomicBool) -> Vec<f64> {
    let mut late = vec![];
    while !over.load(Relaxed) {
        let fired = firing::pop(redis, "resque:queue:fired", 1);
        late.extend(
            fired
                .iter()
                .map(|(payload, at)| at - firing::fire_time(payload) * 1e3),
        );
    }
    late.sort_by(f64::total_cmp);
    late
}

/// Returns the times of `PING` commands until `over` is set, and the shortest remaining time of the lease in seconds.
fn pings(redis: &mut Connection, over: &AtomicBool) -> (Vec<f64>, f64) {
    let (mut took, mut lease) = (vec![], f64::MAX);
    while !over.load(Relaxed) {
        let start = Instant::now();
        let () = redis::cmd("PING").exec(redis).unwrap();
        took.push(start.elapsed().as_secs_f64() * 1e3);
        let left: i64 = redis.pttl(LOCK).unwrap();
        lease = lease.min(Duration::from_millis(left.try_into().unwrap_or(0)).as_secs_f64());
        thread::sleep(Duration::from_millis(1));
    }
    took.sort_by(f64::total_cmp);
    (took, lease)
}

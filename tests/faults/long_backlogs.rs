//! A million delayed jobs that are all due delay nothing else.

use nix::sys::signal::Signal;
use redis::Commands;

use crate::harness::{
    LOCK, Program, Redis, now,
    ticks::{EACH_SECOND, assert_gapless, fire_times, wait_for_fires},
};

const JOBS: usize = 1_000_000;

/// Fills buckets with a thousand jobs each, as `enqueue_at` leaves them. Runs within the server.
const FILL: &str = r#"
for bucket = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  for job = 0, 999 do
    local number = bucket * 1000 + job
    local item = '{"class":"C","args":[' .. string.format("%d", number) .. '],"queue":"q"}'
    redis.call("RPUSH", "resque:delayed:" .. bucket, item)
    redis.call("SADD", "resque:timestamps:" .. item, "delayed:" .. bucket)
  end
  redis.call("ZADD", "resque:delayed_queue_schedule", bucket, bucket)
end
"#;

fn fill(redis: &mut Redis) {
    let script = redis::Script::new(FILL);
    for first in (0..JOBS / 1000).step_by(2) {
        let fill = script
            .arg(first)
            .arg(first + 1)
            .invoke(&mut redis.connection);
        let () = fill.unwrap();
    }
}

#[test]
fn a_long_backlog_delays_no_renewal_no_fire_and_no_stop() {
    let mut redis = Redis::start();
    let args = ["--lease", "3s"];
    let scheduler = Program::on(&redis).args(args).schedule(EACH_SECOND).start();
    wait_for_fires(&mut redis, &scheduler, 1);
    let holder: String = redis.connection.get(LOCK).unwrap();
    // Fill the buckets while the scheduler moves jobs.
    fill(&mut redis);
    let mut scheduler = scheduler;
    let moved: usize = redis.connection.llen("resque:queue:q").unwrap();
    assert!(moved < JOBS, "the backlog was none");
    scheduler.signal(Signal::SIGTERM);
    let asked = now();
    assert_eq!(scheduler.ended().code(), Some(0), "{}", scheduler.log());
    let taken = asked.elapsed();
    println!("stopped after {taken:?}, {moved} of {JOBS} moved");
    assert!(taken.as_millis() < 1000, "{taken:?}");

    let log = scheduler.log();
    assert_eq!(holder, scheduler.holder());
    assert!(!log.contains("no longer the leader"), "{log}");
    let scheduler = Program::on(&redis).args(args).schedule(EACH_SECOND).start();
    redis.wait_until_all_are_moved();
    let log = scheduler.log();
    assert!(!log.contains("no longer the leader"), "{log}");
    assert_gapless(&fire_times(&mut redis));
    let worst = log
        .lines()
        .filter(|it| it.contains("fired entry="))
        .filter_map(|it| it.rsplit_once("lateness_ms=")?.1.parse::<u64>().ok())
        .skip(5)
        .max();
    println!("worst lateness of a fire meanwhile: {worst:?} ms");
    let queue: Vec<String> = redis.connection.lrange("resque:queue:q", 0, -1).unwrap();
    let in_order = queue
        .iter()
        .enumerate()
        .all(|(number, job)| *job == format!(r#"{{"class":"C","args":[{number}]}}"#));
    assert!(queue.len() == JOBS && in_order, "{} of {JOBS}", queue.len());
}

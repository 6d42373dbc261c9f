//! All deployments of Redis, with real servers. With each, entries fire without a gap, delayed jobs are moved, and
//! a killed scheduler continues.

mod acl;
mod cluster;
mod places;
mod sentinel;
mod tls;
mod versions;

use crate::harness::{
    Program, Redis, Scheduler, eventually, item, payload,
    ticks::{EACH_SECOND, goes_on_without_a_gap, wait_for_fires},
};

/// An entry whose fires are skipped while its job is queued or a worker runs it.
const HELD: &str = r#"
[schedule.held]
every = "1s"
queue = "held"
overlap = "skip_if_running"
max_queue_length = 1000
"#;

/// A worker that runs the job of [`HELD`], as Resque writes it: id and status.
const WORKER: [&str; 2] = [
    "host:1:held",
    r#"{"queue":"held","run_at":"2026-11-23T16:25:34Z","payload":{"class":"held","args":[]}}"#,
];

/// Waits until fires of [`HELD`] are skipped, first because its job is queued and then because a worker runs it.
///
/// `redis` is the server that has the keys of `namespace`.
fn wait_until_skipped(redis: &mut Redis, namespace: &str, scheduler: &Scheduler) {
    scheduler.wait_for("outcome=\"skipped_queued\"");
    let [id, job] = WORKER;
    let () = redis::pipe()
        .sadd(format!("{namespace}:workers"), id)
        .set(format!("{namespace}:worker:{id}"), job)
        .del(format!("{namespace}:queue:held"))
        .query(&mut redis.connection)
        .unwrap();
    scheduler.wait_for("outcome=\"skipped_running\"");
}

/// Returns a program with a schedule, the Redis URL `url` and the arguments `args`.
fn program(url: &str, args: &[&str]) -> Program {
    let program = Program::new().args(["--redis-url", url, "--lease", "1s"]);
    program
        .more_args(args)
        .schedule(&[EACH_SECOND, HELD].concat())
}

/// Runs the program through all its duties: fires, a kill, a restart, delayed jobs, quarantine, skipped fires.
///
/// `redis` connects to the same data without the deployment under test.
fn does_its_work(redis: &mut Redis, program: Program) -> Scheduler {
    let scheduler = program.start();
    wait_for_fires(redis, &scheduler, 1);
    redis.delay(1_000, "garbage");
    let scheduler = scheduler.restart();
    (0..3).for_each(|number| redis.delay(1_000, item("q", number)));
    eventually(|| match redis.queue("q") {
        queue if queue.len() < 3 => Err(format!("{queue:?}\n{}", scheduler.log())),
        queue => {
            assert_eq!(queue, [0, 1, 2].map(payload));
            Ok(())
        }
    });
    scheduler.wait_for("quarantine");
    wait_until_skipped(redis, "resque", &scheduler);
    goes_on_without_a_gap(redis, &scheduler, 2);
    scheduler
}

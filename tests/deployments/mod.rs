//! Redis in all its deployments, on real servers: each fires without a gap, moves delayed jobs, and
//! survives a kill.

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

/// An entry whose fires are skipped once a worker works on its job.
const HELD: &str = r#"
[schedule.held]
every = "1s"
queue = "held"
overlap = "skip_if_running"
max_queue_length = 1000
"#;

/// A worker that works on the job of [`HELD`], as Resque's writes it.
const WORKER: [&str; 2] = [
    "host:1:held",
    r#"{"queue":"held","run_at":"2026-11-23T16:25:34Z","payload":{"class":"held","args":[]}}"#,
];

/// Waits until the fires of [`HELD`] are skipped, because its job waits and because it is worked on.
/// `redis` has the keys of `namespace`.
fn is_held(redis: &mut Redis, namespace: &str, scheduler: &Scheduler) {
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

/// A program with a schedule at `url`, with more arguments.
fn program(url: &str, args: &[&str]) -> Program {
    let program = Program::new().args(["--redis-url", url, "--lease", "1s"]);
    program
        .more_args(args)
        .schedule(&[EACH_SECOND, HELD].concat())
}

/// The whole work once: fires, a kill -9, a restart, delayed jobs, quarantine, pile-ups. `redis` is a view of
/// the same data without what is tested.
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
    is_held(redis, "resque", &scheduler);
    goes_on_without_a_gap(redis, &scheduler, 2);
    scheduler
}

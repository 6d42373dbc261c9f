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

/// A program with a schedule at `url`, with more arguments.
fn program(url: &str, args: &[&str]) -> Program {
    let program = Program::new().args(["--redis-url", url, "--lease", "1s"]);
    program.more_args(args).schedule(EACH_SECOND)
}

/// The whole work once: fires, a kill -9, a restart, delayed jobs, quarantine. `redis` is a view of
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
    goes_on_without_a_gap(redis, &scheduler, 2);
    scheduler
}

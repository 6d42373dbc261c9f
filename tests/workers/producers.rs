//! Apps in other languages delay jobs and remove some of them. The scheduler moves the others.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    thread::{self, JoinHandle},
};

use serde_json::{Value, json};

use super::{node, python, taken};
use crate::{
    delayed::leftovers,
    harness::{Program, Redis, unix_now},
};

/// node-resque's `Queue`, in a separate process.
struct Queue {
    process: Child,
    calls: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
}

impl Queue {
    fn open(redis: &Redis) -> Self {
        let mut node = node("node_resque_queue.mjs");
        let node = node.arg(redis.port()).stdin(Stdio::piped());
        let mut process = node.stdout(Stdio::piped()).spawn().unwrap();
        Self {
            calls: process.stdin.take().unwrap(),
            replies: BufReader::new(process.stdout.take().unwrap()).lines(),
            process,
        }
    }

    /// Calls a method with JSON arguments, and returns its result.
    #[track_caller]
    fn call(&mut self, method: &str, arguments: &str) -> Value {
        writeln!(self.calls, "[\"{method}\",{arguments}]").unwrap();
        let reply = self.replies.next().unwrap().unwrap();
        serde_json::from_str(&reply).unwrap()
    }

    /// Calls `enqueueAt` with Unix seconds.
    fn enqueue_at(&mut self, timestamp: i64, job: &str) {
        let delayed = self.call("enqueueAt", &format!("{timestamp}000,{job}"));
        assert_eq!(delayed, true);
    }

    /// Calls `delDelayed`, which returns the timestamps from which it removed the job.
    fn remove(&mut self, job: &str) -> Vec<i64> {
        let timestamps = self.call("delDelayed", job);
        serde_json::from_value(timestamps).unwrap()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Arguments of all jobs after the number: values that are easily changed on the way.
const ARGUMENTS: &str = r#""é/\n",1e+100,{"b":[],"a":{}},null"#;

/// Returns a job as node-resque's methods take it: queue, class, arguments.
fn job(number: usize) -> String {
    format!(r#""reports","Reports::Daily",[{number},{ARGUMENTS}]"#)
}

/// Returns the payload of that job in its queue.
fn payload(number: usize) -> String {
    format!(r#"{{"class":"Reports::Daily","args":[{number},{ARGUMENTS}]}}"#)
}

/// Moves everything that is due before 2100-01-01T02:00:00Z, and asserts that nothing is left.
fn move_all(redis: &mut Redis) {
    let program = Program::on(redis).args(["--once", "--yes", "--at", "2100-01-01T02:00:00Z"]);
    { program }.run().succeeded();
    assert_eq!(leftovers(redis), Vec::<String>::new());
}

#[test]
#[ignore = "needs npm: run `make interop`"]
fn jobs_that_node_resque_delays_and_does_not_remove_are_performed_once() {
    const NEW_YEAR: i64 = 4_102_444_800;
    let mut redis = Redis::on_port();
    let mut queue = Queue::open(&redis);
    for number in 0..4 {
        queue.enqueue_at(NEW_YEAR, &job(number));
    }
    // The same job at two times.
    for hours in [0, 1] {
        queue.enqueue_at(NEW_YEAR + hours * 3_600, &job(4));
        queue.enqueue_at(NEW_YEAR + hours * 3_600, &job(5));
    }
    let before = unix_now();
    for number in [6, 7] {
        let delayed = queue.call("enqueueIn", &format!("3600000,{}", job(number)));
        assert_eq!(delayed, true);
    }

    assert_eq!(queue.remove(&job(1)), [NEW_YEAR]);
    let mut both = queue.remove(&job(4));
    both.sort_unstable();
    assert_eq!(both, [NEW_YEAR, NEW_YEAR + 3_600]);
    // node-resque rounds to the nearest second.
    let in_an_hour = before + 3_600..=unix_now() + 3_601;
    assert!(in_an_hour.contains(&queue.remove(&job(6))[0]));
    move_all(&mut redis);
    assert!(queue.remove(&job(2)).is_empty(), "it is in its queue");

    let left = [7, 0, 2, 3, 5, 5];
    assert_eq!(redis.queue("reports"), left.map(payload));
    let worker = node("node_resque.mjs");
    let expected = left.map(|it| serde_json::from_str::<Value>(&payload(it)).unwrap());
    assert_eq!(taken(worker, &mut redis, "reports"), expected);
}

const APPS: usize = 2;
const JOBS_EACH: usize = 1_500;

/// Runs an app that delays its jobs until now or the next second, and removes every second one after a while.
///
/// Returns the numbers of the jobs that it removed.
fn app(mut queue: Queue, first: usize) -> JoinHandle<Vec<usize>> {
    thread::spawn(move || {
        let mut random = fastrand::Rng::with_seed(first as u64);
        let (mut removed, mut to_remove) = (vec![], vec![]);
        for number in first..first + JOBS_EACH {
            let timestamp = unix_now() + random.i64(0..2);
            queue.enqueue_at(timestamp, &job(number));
            if number % 2 == 0 {
                to_remove.push((number, timestamp));
            }
            if to_remove.len() < 10 {
                continue;
            }
            for (number, timestamp) in to_remove.drain(..) {
                match queue.remove(&job(number))[..] {
                    [] => {}
                    [from] if from == timestamp => removed.push(number),
                    ref other => panic!("{number} at {timestamp} was at {other:?}"),
                }
            }
        }
        removed
    })
}

#[test]
#[ignore = "needs npm: run `make interop`"]
fn a_job_that_node_resque_removes_during_a_move_is_either_removed_or_moved() {
    let mut redis = Redis::on_port();
    let queues: Vec<_> = (0..APPS).map(|_| Queue::open(&redis)).collect();
    let often = ["--interval", "0.02", "--delayed-requeue-batch-size", "5"];
    let scheduler = Program::on(&redis).args(often).start();
    scheduler.wait_for("became the leader holder=");
    let queues = queues.into_iter().enumerate();
    let apps: Vec<_> = queues
        .map(|(it, queue)| app(queue, it * JOBS_EACH))
        .collect();
    let removed: Vec<usize> = apps.into_iter().flat_map(|it| it.join().unwrap()).collect();
    redis.wait_until_all_are_moved();

    let moved = redis.queue("reports");
    let (moved_count, removed_count) = (moved.len(), removed.len());
    println!("{moved_count} moved, {removed_count} taken back");
    let mut times: HashMap<String, usize> = HashMap::new();
    for job in moved.into_iter().chain(removed.into_iter().map(payload)) {
        *times.entry(job).or_default() += 1;
    }
    let all: HashMap<_, _> = (0..APPS * JOBS_EACH).map(|it| (payload(it), 1)).collect();
    let wrong = times.iter().filter(|it| all.get(it.0) != Some(it.1));
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "both, or changed on the way: {wrong:?}");
    assert_eq!(times.len(), all.len(), "some are lost");
    let too_late = APPS * JOBS_EACH / 2 - removed_count;
    assert!(removed_count.min(too_late) > 50, "the race was none");
    assert_eq!(leftovers(&mut redis), Vec::<String>::new());
}

#[test]
#[ignore = "needs pip: run `make interop`"]
fn jobs_that_pyres_delays_are_performed_by_a_pyres_worker() {
    let mut redis = Redis::on_port();
    let mut producer = python("pyres_producer.py");
    let delayed = producer.args([&redis.port(), "reports", "4102444800"]);
    let delayed = delayed.output().unwrap();
    assert!(
        delayed.status.success(),
        "{}",
        String::from_utf8_lossy(&delayed.stderr)
    );
    // pyres writes no reverse index, and escapes text.
    let buckets = ["resque:delayed:4102444800", "resque:delayed:4102448400"];
    assert_eq!(
        leftovers(&mut redis),
        [&buckets[..], &["resque:delayed_queue_schedule"]].concat()
    );
    move_all(&mut redis);
    let arguments = json!(["é/", {"deep": [1, 2.5, true]}, []]);
    let expected = [
        json!({"class": "reports.Daily", "args": arguments}),
        json!({"class": "reports.Daily", "args": []}),
    ];
    assert_eq!(
        taken(python("pyres_worker.py"), &mut redis, "reports"),
        expected
    );
}

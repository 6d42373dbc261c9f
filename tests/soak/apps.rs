//! Apps that add delayed jobs and remove some of them, with the gem's commands.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use redis::{Commands, Connection};

use super::faults::Gate;
use crate::harness::{Redis, delay, now, unix_now};

/// What the apps did: timestamp of each job, by number, and whether it was removed.
#[derive(Debug, Default)]
pub struct Jobs {
    pub timestamps: Vec<i64>,
    pub removed: Vec<bool>,
}

/// Apps that are running.
pub struct Apps(JoinHandle<Jobs>);

/// Returns the item of job `number`. Its arguments are the number and the timestamp.
pub fn item(number: usize, timestamp: i64) -> String {
    format!(r#"{{"class":"Job","args":[{number},{timestamp}],"queue":"bulk"}}"#)
}

impl Apps {
    /// Adds `rate` jobs per second until `over`, due three to six seconds later, in buckets of one job to some
    /// hundreds.
    ///
    /// Removes every fiftieth job in the second in which it is due.
    pub fn start(
        redis: &Redis,
        rate: u64,
        seed: u64,
        gate: &Arc<Gate>,
        over: Arc<AtomicBool>,
    ) -> Self {
        let (connection, gate) = (redis.connect(), Arc::clone(gate));
        Self(thread::spawn(move || {
            add(connection, rate, seed, &gate, &over)
        }))
    }

    pub fn join(self) -> Arc<Jobs> {
        Arc::new(self.0.join().unwrap())
    }
}

fn add(mut redis: Connection, rate: u64, seed: u64, gate: &Gate, over: &AtomicBool) -> Jobs {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut jobs, mut to_remove) = (Jobs::default(), Vec::new());
    let started = now();
    while !over.load(Ordering::SeqCst) {
        let open = gate.read().unwrap();
        let wanted = started.elapsed().as_millis() * u128::from(rate) / 1000;
        let mut adds = redis::pipe();
        while (jobs.timestamps.len() as u128) < wanted && adds.len() < 3_000 {
            let number = jobs.timestamps.len();
            let timestamp = unix_now() + random.i64(3..7);
            delay(&mut adds, timestamp, item(number, timestamp).as_bytes());
            jobs.timestamps.push(timestamp);
            jobs.removed.push(false);
            if number.is_multiple_of(50) {
                to_remove.push((number, timestamp));
            }
        }
        if !adds.is_empty() {
            adds.exec(&mut redis).unwrap();
        }
        // Tries the removal in the second in which the job is due: often too late, sometimes just in time.
        to_remove.retain(|&(number, timestamp)| {
            let due = timestamp <= unix_now();
            if due {
                jobs.removed[number] = remove(&mut redis, number, timestamp);
            }
            !due
        });
        drop(open);
        thread::sleep(Duration::from_millis(random.u64(..10)));
    }
    jobs
}

/// `remove_delayed` of the gem. Returns whether the job was still there.
fn remove(redis: &mut Connection, number: usize, timestamp: i64) -> bool {
    let (item, bucket) = (item(number, timestamp), format!("delayed:{timestamp}"));
    let removed: usize = redis.lrem(format!("resque:{bucket}"), 0, &item).unwrap();
    let () = redis
        .srem(format!("resque:timestamps:{item}"), bucket)
        .unwrap();
    removed > 0
}

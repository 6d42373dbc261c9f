//! Apps that add delayed jobs, and take some of them back, with the gem's commands.

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

/// What the apps did: for each job, by number, its timestamp, and whether it was removed.
#[derive(Debug, Default)]
pub struct Jobs {
    pub timestamps: Vec<i64>,
    pub removed: Vec<bool>,
}

/// The apps, at work.
pub struct Apps(JoinHandle<Jobs>);

/// The item of job `number`; its payload names both.
pub fn item(number: usize, timestamp: i64) -> String {
    format!(r#"{{"class":"Job","args":[{number},{timestamp}],"queue":"bulk"}}"#)
}

impl Apps {
    /// Adds `rate` jobs a second until it is over, in buckets of one job to some hundreds, due three to six
    /// seconds later; and removes one in fifty when it is about to be due.
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
        // Around the second in which it is due: often too late, sometimes just in time.
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

/// `remove_delayed`: whether it was there.
fn remove(redis: &mut Connection, number: usize, timestamp: i64) -> bool {
    let (item, bucket) = (item(number, timestamp), format!("delayed:{timestamp}"));
    let removed: usize = redis.lrem(format!("resque:{bucket}"), 0, &item).unwrap();
    let () = redis
        .srem(format!("resque:timestamps:{item}"), bucket)
        .unwrap();
    removed > 0
}

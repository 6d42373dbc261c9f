//! Delayed jobs: what apps write, and what becomes of them.

use redis::{Commands as _, Pipeline};

use super::{Redis, eventually};

const SCHEDULE: &str = "resque:delayed_queue_schedule";

impl Redis {
    /// Adds a delayed item as an app does.
    pub fn delay(&mut self, timestamp: i64, item: impl AsRef<[u8]>) {
        let mut pipe = redis::pipe();
        delay(&mut pipe, timestamp, item.as_ref());
        pipe.exec(&mut self.connection).unwrap();
    }

    /// Adds delayed items for `queue` that are all due, so many of them at each timestamp.
    pub fn delay_many(&mut self, queue: &str, number: usize, at_each: usize) {
        let mut pipe = redis::pipe();
        for job in 0..number {
            let timestamp = 1_000_000_000 + i64::try_from(job / at_each).unwrap();
            delay(&mut pipe, timestamp, item(queue, job).as_bytes());
        }
        pipe.exec(&mut self.connection).unwrap();
    }

    /// Waits until no delayed job is left, for as long as they become fewer.
    #[track_caller]
    pub fn wait_until_all_are_moved(&mut self) {
        let mut left = usize::MAX;
        while left > 0 {
            left = eventually(|| match self.connection.zcard(SCHEDULE).unwrap() {
                fewer if fewer < left => Ok(fewer),
                same => Err(format!("{same} buckets left")),
            });
        }
    }
}

/// Adds what `enqueue_at` of an app does.
pub fn delay(pipe: &mut Pipeline, timestamp: i64, item: &[u8]) {
    let bucket = format!("delayed:{timestamp}");
    pipe.rpush(format!("resque:{bucket}"), item).ignore();
    pipe.sadd([b"resque:timestamps:", item].concat(), bucket)
        .ignore();
    pipe.zadd(SCHEDULE, timestamp, timestamp).ignore();
}

/// The item of a delayed job for `queue`; each number is another job.
pub fn item(queue: &str, number: usize) -> String {
    format!(r#"{{"class":"Job","args":[{number}],"queue":"{queue}"}}"#)
}

/// What that job is in its queue.
pub fn payload(number: usize) -> String {
    format!(r#"{{"class":"Job","args":[{number}]}}"#)
}

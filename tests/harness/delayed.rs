//! Delayed jobs as apps write them.

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

    /// Adds `number` delayed items for `queue`, all due, `at_each` of them at each timestamp.
    pub fn delay_many(&mut self, queue: &str, number: usize, at_each: usize) {
        let mut pipe = redis::pipe();
        for job in 0..number {
            let timestamp = 1_000_000_000 + i64::try_from(job / at_each).unwrap();
            delay(&mut pipe, timestamp, item(queue, job).as_bytes());
        }
        pipe.exec(&mut self.connection).unwrap();
    }

    /// Waits until no delayed job is left. Fails if their number stops decreasing.
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

/// Adds the commands that `enqueue_at` sends in an app.
pub fn delay(pipe: &mut Pipeline, timestamp: i64, item: &[u8]) {
    let bucket = format!("delayed:{timestamp}");
    pipe.rpush(format!("resque:{bucket}"), item).ignore();
    pipe.sadd([b"resque:timestamps:", item].concat(), bucket)
        .ignore();
    pipe.zadd(SCHEDULE, timestamp, timestamp).ignore();
}

/// Returns the item of a delayed job for `queue`. Each number is a different job.
pub fn item(queue: &str, number: usize) -> String {
    format!(r#"{{"class":"Job","args":[{number}],"queue":"{queue}"}}"#)
}

/// Returns the payload of that job in its queue.
pub fn payload(number: usize) -> String {
    format!(r#"{{"class":"Job","args":[{number}]}}"#)
}

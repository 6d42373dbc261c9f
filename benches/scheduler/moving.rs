//! Delayed jobs: how many are moved in a second, beside the bare script.

use std::time::Instant;

use redis::{Commands as _, Connection, Script};

use crate::bed::{Redis, Scheduler, median, wait_until};

/// The physical limit: what has to be written, and nothing else, in batches of 500.
const BARE: &str = r#"
for i = 2, #KEYS do
  local item = redis.call("LPOP", KEYS[i])
  redis.call("SREM", "resque:timestamps:" .. item, string.sub(KEYS[i], 8))
  redis.call("RPUSH", KEYS[1], item)
end
"#;
const BARE_BATCH: usize = 500;

/// Long ago: all of them are due.
const FIRST: usize = 1_000_000_000;
const QUEUE: &str = "resque:queue:moved";

/// So many jobs, so many of them at each timestamp, with so many bytes of arguments.
#[derive(Clone, Copy)]
pub struct Shape {
    pub jobs: usize,
    pub at_each: usize,
    pub bytes: usize,
}

impl Shape {
    fn timestamp(self, job: usize) -> usize {
        FIRST + job / self.at_each
    }

    fn item(self, job: usize) -> String {
        let padding = "x".repeat(self.bytes);
        format!(r#"{{"class":"Job","args":[{job},"{padding}"],"queue":"moved"}}"#)
    }

    /// Writes the jobs as apps do.
    fn load(self, redis: &mut Connection) {
        for jobs in (0..self.jobs).collect::<Vec<_>>().chunks(1_000) {
            let mut pipe = redis::pipe();
            for &job in jobs {
                let (item, timestamp) = (self.item(job), self.timestamp(job));
                let bucket = format!("delayed:{timestamp}");
                pipe.rpush(format!("resque:{bucket}"), &item).ignore();
                pipe.sadd(format!("resque:timestamps:{item}"), bucket)
                    .ignore();
                pipe.zadd("resque:delayed_queue_schedule", timestamp, timestamp)
                    .ignore();
            }
            let () = pipe.query(redis).unwrap();
        }
    }

    /// Jobs a second by the bare script.
    fn bare(self, redis: &mut Redis) -> f64 {
        self.load(&mut redis.connection);
        let script = Script::new(BARE);
        let start = Instant::now();
        for jobs in (0..self.jobs).collect::<Vec<_>>().chunks(BARE_BATCH) {
            let mut call = script.key(QUEUE);
            for &job in jobs {
                call.key(format!("resque:delayed:{}", self.timestamp(job)));
            }
            let () = call.invoke(&mut redis.connection).unwrap();
        }
        let seconds = start.elapsed().as_secs_f64();
        self.all_moved(redis);
        self.per_second(seconds)
    }

    /// Jobs a second by the program.
    fn ours(self, redis: &mut Redis) -> f64 {
        self.load(&mut redis.connection);
        redis.hold_lead();
        let scheduler = Scheduler::start(redis, "");
        scheduler.wait_for("following");
        let start = Instant::now();
        redis.let_lead();
        let schedule = "resque:delayed_queue_schedule";
        wait_until(|| redis.connection.zcard::<_, usize>(schedule).unwrap() == 0);
        let seconds = start.elapsed().as_secs_f64();
        self.all_moved(redis);
        self.per_second(seconds)
    }

    /// Each job is in its queue, once; and nothing is left behind.
    fn all_moved(self, redis: &mut Redis) {
        let moved: usize = redis.connection.llen(QUEUE).unwrap();
        assert_eq!(moved, self.jobs);
        let keys: usize = redis::cmd("DBSIZE").query(&mut redis.connection).unwrap();
        assert!(keys < 10, "{keys} keys are left");
        let () = redis::cmd("FLUSHALL").query(&mut redis.connection).unwrap();
    }

    #[expect(clippy::cast_precision_loss, reason = "far below where it matters")]
    fn per_second(self, seconds: f64) -> f64 {
        self.jobs as f64 / seconds
    }

    /// Medians of so many runs in turn: ours, and the bare script's.
    pub fn measure(self, runs: usize) -> (f64, f64) {
        let mut redis = Redis::start();
        let runs = (0..runs).map(|_| (self.ours(&mut redis), self.bare(&mut redis)));
        let (ours, bare) = runs.unzip();
        (median(ours), median(bare))
    }
}

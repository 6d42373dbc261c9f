//! Measures how many delayed jobs are moved per second, compared with a bare script.

use std::time::{Duration, Instant};

use redis::{Commands as _, Connection, Script};

use crate::bed::{Redis, Scheduler, median};

/// The bare script, which only does the necessary writes, in batches of 500. It is the physical limit.
///
/// The keys are the queue and the bucket of each job. The arguments are the queue's name and the timestamps whose
/// buckets are empty afterwards.
const BARE: &str = r#"
redis.call("SADD", "resque:queues", ARGV[1])
for i = 2, #KEYS do
  local item = redis.call("LPOP", KEYS[i])
  redis.call("SREM", "resque:timestamps:" .. item, string.sub(KEYS[i], 8))
  redis.call("RPUSH", KEYS[1], item)
end
if #ARGV > 1 then
  redis.call("ZREM", "resque:delayed_queue_schedule", unpack(ARGV, 2))
end
"#;
const BARE_BATCH: usize = 500;

/// The first timestamp, long ago, so that all jobs are due.
const FIRST: usize = 1_000_000_000;
/// The queue of the job that is moved last.
pub const LAST_QUEUE: &str = "resque:queue:last";

fn queue(number: usize) -> String {
    format!("moved{number}")
}

/// The results of the program: jobs per second, and the CPU time for one job in microseconds, of redis-server and of the
/// program.
pub struct Moved {
    pub per_second: f64,
    pub in_redis: f64,
    pub in_us: f64,
}

/// The number of jobs, the number of jobs at each timestamp, the bytes of arguments, and the number of queues, which the
/// jobs use in turn.
#[derive(Clone, Copy)]
pub struct Shape {
    pub jobs: usize,
    pub at_each: usize,
    pub bytes: usize,
    pub queues: usize,
}

impl Shape {
    fn timestamp(self, job: usize) -> usize {
        FIRST + job / self.at_each
    }

    fn is_last_of_bucket(self, job: usize) -> bool {
        job + 1 == self.jobs || self.timestamp(job + 1) > self.timestamp(job)
    }

    fn item(self, job: usize) -> String {
        let padding = "x".repeat(self.bytes);
        let queue = queue(job % self.queues);
        format!(r#"{{"class":"Job","args":[{job},"{padding}"],"queue":"{queue}"}}"#)
    }

    /// Writes the jobs as apps do.
    pub fn load(self, redis: &mut Connection) {
        let chunk = (10_000_000 / (self.bytes + 10_000)).max(1);
        for jobs in (0..self.jobs).collect::<Vec<_>>().chunks(chunk) {
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

    /// Adds one more job, which is moved after all others.
    pub fn add_last(self, redis: &mut Connection) {
        let last = self.timestamp(self.jobs) + 1;
        let item = r#"{"class":"Job","args":[],"queue":"last"}"#;
        let () = redis.rpush(format!("resque:delayed:{last}"), item).unwrap();
        let () = redis
            .zadd("resque:delayed_queue_schedule", last, last)
            .unwrap();
    }

    /// Returns the jobs per second of the bare script.
    fn bare(self, redis: &mut Redis) -> f64 {
        self.load(&mut redis.connection);
        let script = Script::new(BARE);
        let start = Instant::now();
        for jobs in (0..self.jobs).collect::<Vec<_>>().chunks(BARE_BATCH) {
            let mut call = script.key(format!("resque:queue:{}", queue(0)));
            call.arg(queue(0));
            for &job in jobs {
                let timestamp = self.timestamp(job);
                call.key(format!("resque:delayed:{timestamp}"));
                if self.is_last_of_bucket(job) {
                    call.arg(timestamp);
                }
            }
            let () = call.invoke(&mut redis.connection).unwrap();
        }
        let seconds = start.elapsed().as_secs_f64();
        self.all_moved(redis);
        self.per_second(seconds)
    }

    /// Measures the program.
    pub fn ours(self, redis: &mut Redis) -> Moved {
        self.load(&mut redis.connection);
        self.add_last(&mut redis.connection);
        redis.hold_lead();
        let scheduler = Scheduler::start(redis, "");
        scheduler.wait_for("following");
        let (computed, redis_computed) = (scheduler.computed(), redis.computed());
        let start = Instant::now();
        redis.let_lead();
        // Blocks instead of polling, because polling would use CPU time of the server.
        let _: (String, String) = redis.connection.blpop(LAST_QUEUE, 300.0).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        let of_a_job = |time: Duration| 1e6 / self.per_second(time.as_secs_f64());
        let moved = Moved {
            per_second: self.per_second(seconds),
            in_redis: of_a_job(redis.computed().saturating_sub(redis_computed)),
            in_us: of_a_job(scheduler.computed().saturating_sub(computed)),
        };
        self.all_moved(redis);
        moved
    }

    /// Asserts that every job is in its queue once and that nothing else is left. Removes everything.
    pub fn all_moved(self, redis: &mut Redis) {
        let mut lengths = redis::pipe();
        (0..self.queues).for_each(|number| {
            lengths.llen(format!("resque:queue:{}", queue(number)));
        });
        let lengths: Vec<usize> = lengths.query(&mut redis.connection).unwrap();
        assert_eq!(lengths.iter().sum::<usize>(), self.jobs);
        let keys: usize = redis::cmd("DBSIZE").query(&mut redis.connection).unwrap();
        assert!(keys < self.queues + 10, "{keys} keys are left");
        let schedule = "resque:delayed_queue_schedule";
        assert!(!redis.connection.exists::<_, bool>(schedule).unwrap());
        let () = redis::cmd("FLUSHALL").query(&mut redis.connection).unwrap();
    }

    #[expect(clippy::cast_precision_loss, reason = "far below where it matters")]
    fn per_second(self, seconds: f64) -> f64 {
        self.jobs as f64 / seconds
    }

    /// Runs the program and the bare script five times in turn, and returns medians.
    ///
    /// These are the results of the program, the jobs per second of the bare script, and the ratio of successive runs.
    pub fn measure(self) -> (Moved, f64, f64) {
        let mut redis = Redis::start();
        let runs: Vec<_> = (0..5)
            .map(|_| (self.ours(&mut redis), self.bare(&mut redis)))
            .collect();
        let of =
            |value: fn(&Moved) -> f64| median(runs.iter().map(|(ours, _)| value(ours)).collect());
        let ours = Moved {
            per_second: of(|it| it.per_second),
            in_redis: of(|it| it.in_redis),
            in_us: of(|it| it.in_us),
        };
        let bare = median(runs.iter().map(|(_, bare)| *bare).collect());
        let ratio = median(
            runs.iter()
                .map(|(ours, bare)| ours.per_second / bare)
                .collect(),
        );
        (ours, bare, ratio)
    }
}

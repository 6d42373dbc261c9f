//! Fires, queues, and what workers do.

use std::num::{NonZeroU64, NonZeroUsize};

use chrono::DateTime;
use redis::Commands as _;
use rescue_scheduler::{
    core::schedule::overlap::{Guard, Overlap},
    store::{Fire, Store as _},
};

use super::{Both, FUTURE, agree, told};

impl Both<'_> {
    pub async fn fire(&mut self, who: usize) {
        let rng = &mut self.rng;
        let count = rng.usize(0..4);
        let fire = |_| {
            let fire_time = match rng.u8(0..16) {
                0 => FUTURE,
                _ => rng.i64(1..30),
            };
            let (payload, pattern) = a_payload(rng, fire_time);
            let overlaps = [
                Overlap::Allow,
                Overlap::SkipIfQueued,
                Overlap::SkipIfRunning,
            ];
            Fire {
                name: rng.choice(["a", "b", "c"]).unwrap(),
                times: rng.choice([None, None, Some(1), Some(3)]).unwrap(),
                fire_time: DateTime::from_timestamp(fire_time, 0).unwrap(),
                queue: rng.choice(["q", "r"]).unwrap(),
                payload: payload.into(),
                guard: Guard {
                    overlap: rng.choice(overlaps).unwrap(),
                    max_queue_length: NonZeroU64::new(rng.choice([0, 0, 1, 3]).unwrap()),
                },
                pattern,
            }
        };
        let fires: Vec<Fire<'_>> = (0..count).map(fire).collect();
        let now = DateTime::from_timestamp(30, 0).unwrap().fixed_offset();
        let _ = agree!(self, who, fire(&fires, now), |it| it);
    }

    /// What may lie in a queue, or be worked on: a job, one that is nearly the same, or none.
    fn a_job(&mut self) -> String {
        let fire_time = self.rng.i64(1..30);
        let (job, _) = a_payload(&mut self.rng, fire_time);
        match self.rng.u8(0..11) {
            8 => job.replace('&', "\\u0026"),
            9 => job.replace('\u{2028}', "\\u2028"),
            10 => job.replace('&', "\\u0026").replace('\u{2028}', "\\u2028"),
            0 => format!(" {job}"),
            1 => format!("{job} "),
            2 => job.replace(':', ":{\"at\":"),
            3 => job.replace(&format!(":{fire_time},"), ":,"),
            _ => job,
        }
    }

    /// A worker comes, goes, or says something of what it works on.
    pub fn work(&mut self) {
        let id = self.rng.choice(["host:1:q", "host:2:*"]).unwrap();
        let job = self.a_job();
        let world = self.world();
        let mut world = world.lock().unwrap();
        let (model, redis) = (world.model(), &mut self.redis.connection);
        let kind = self.rng.u8(0..9);
        self.told.push(format!("work {kind} of {id}: {job}"));
        if model.workers_broken {
            return;
        }
        let key = format!("resque:worker:{id}");
        let () = redis.del(&key).unwrap();
        if kind == 0 {
            let () = redis.srem("resque:workers", id).unwrap();
            model.workers.remove(id);
            return;
        }
        let () = redis.sadd("resque:workers", id).unwrap();
        let text = match kind {
            // It waits for a job.
            1 => None,
            2 => {
                let () = redis.rpush(&key, "a list").unwrap();
                None
            }
            3 => Some("garbage".to_owned()),
            4 => Some(format!("{{\"queue\":\"q\",\"payload\": {job}}}")),
            5 => Some(format!(
                "{{\"payload\":0,\"payload\":{job},\"queue\":\"q\"}}"
            )),
            _ => Some(format!(
                "{{\"queue\":\"q\",\"run_at\":\"2026\",\"payload\":{job}}}"
            )),
        };
        if let Some(text) = &text {
            let () = redis.set(&key, text).unwrap();
        }
        model.workers.insert(id.to_owned(), text);
    }

    pub fn push_or_pop(&mut self) {
        let queue = self.rng.choice(["q", "r"]).unwrap();
        let (jobs, push) = (self.rng.usize(1..4), self.rng.u8(0..3) > 0);
        let jobs: Vec<String> = (0..jobs).map(|_| self.a_job()).collect();
        let world = self.world();
        let mut world = world.lock().unwrap();
        let (model, redis) = (world.model(), &mut self.redis.connection);
        if model.broken.contains(queue) {
            return;
        }
        let key = format!("resque:queue:{queue}");
        let held = model.queues.entry(queue.to_owned()).or_default();
        if push {
            self.told.push(format!("push to {queue}: {jobs:?}"));
            let () = redis.rpush(key, &jobs).unwrap();
            held.extend(jobs);
        } else {
            self.told.push(format!("pop {} of {queue}", jobs.len()));
            let count = NonZeroUsize::new(jobs.len());
            let popped: Vec<String> = redis.lpop(key, count).unwrap();
            let first: Vec<String> = held.drain(..jobs.len().min(held.len())).collect();
            assert_eq!(popped, first, "{:#?}", self.told);
        }
    }
}

/// A payload, and the pattern of those that are identical, where they are not the same.
fn a_payload(rng: &mut fastrand::Rng, fire_time: i64) -> (String, Option<Vec<String>>) {
    let pattern: &[&str] = match rng.u8(0..6) {
        0 => return ("{\"n\":1}".to_owned(), None),
        1 => return ("{\"n\":[]}".to_owned(), None),
        2 => return ("{\"n\":\"&\u{2028}\"}".to_owned(), None),
        3 => &["{\"&&\":", ",\"\u{2028}\":1}"],
        4 => &["{\"at\":", ",\"n\":1}"],
        _ => &["{\"at\":", ",\"n\":{\"é\":\"", "\"}}"],
    };
    let payload = pattern.join(&fire_time.to_string());
    let pattern = pattern.iter().map(|it| (*it).to_owned()).collect();
    (payload, Some(pattern))
}

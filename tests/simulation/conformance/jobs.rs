//! Random calls for fires, queues and workers.

use std::num::{NonZeroU64, NonZeroUsize};

use chrono::{DateTime, TimeDelta};
use redis::Commands as _;
use rescue_scheduler::{
    core::{
        firing::outcome::Cause,
        schedule::overlap::{Guard, Overlap},
    },
    store::{Fire, Missed, Store as _},
};

use super::{Both, FUTURE, agree, told};

const PAUSED: &str = "resque:rescue_scheduler:paused";

impl Both<'_> {
    pub async fn fire(&mut self, who: usize) {
        let rng = &mut self.rng;
        let count = rng.usize(0..4);
        let fire = |_| {
            let fire_time = match rng.u8(0..16) {
                0 => FUTURE,
                _ => rng.i64(1..30),
            };
            let (payload, fixed_parts) = a_payload(rng, fire_time);
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
                fixed_parts,
                cause: rng.choice([Cause::Scheduled, Cause::CaughtUp]).unwrap(),
                lateness: TimeDelta::milliseconds(rng.i64(0..90_000)),
            }
        };
        let fires: Vec<Fire<'_>> = (0..count).map(fire).collect();
        let now = DateTime::from_timestamp(30, 0).unwrap().fixed_offset();
        let _ = agree!(self, who, fire(&fires, now), |it| it);
    }

    pub async fn note_missed(&mut self, who: usize) {
        let rng = &mut self.rng;
        let missed = |_| {
            let first = rng.i64(1..30);
            let last = first + rng.i64(0..10);
            Missed {
                name: rng.choice(["a", "b", "c"]).unwrap(),
                first: DateTime::from_timestamp(first, 0).unwrap(),
                last: DateTime::from_timestamp(last, 0).unwrap(),
                count: rng.choice([None, Some(1), Some(7)]).unwrap(),
            }
        };
        let missed: Vec<Missed<'_>> = (1..=2).map(missed).collect();
        let now = DateTime::from_timestamp(31, 0).unwrap();
        let _ = agree!(self, who, note_missed(&missed, now), |it| it);
    }

    /// A person pauses an entry or all entries, for a while or for good, or resumes them.
    pub fn pause_or_resume(&mut self) {
        let name = self.rng.choice(["a", "b", "*"]).unwrap();
        let until = self.rng.i64(1..40);
        let world = self.world();
        let mut world = world.lock().unwrap();
        let (model, redis) = (world.model(), &mut self.redis.connection);
        let kind = self.rng.u8(0..4);
        self.told.push(format!("pause {kind} of {name}: {until}"));
        let (json, end) = match kind {
            0 => (format!("{{\"actor\":\"me\",\"until\":{until}}}"), until),
            1 => ("what anybody writes".to_owned(), i64::MAX),
            _ => {
                model.paused.remove(name);
                let () = redis.hdel(PAUSED, name).unwrap();
                return;
            }
        };
        model.paused.insert(name.to_owned(), end);
        let () = redis.hset(PAUSED, name, json).unwrap();
    }

    /// Returns a job for a queue or a worker: the entry's own, a similar one, or no job at all.
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

    /// A worker registers, leaves, or changes the record of its current job.
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
            // The worker waits for a job.
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

/// Returns a payload, and its fixed parts if identical jobs may have other bytes.
fn a_payload(rng: &mut fastrand::Rng, fire_time: i64) -> (String, Option<Vec<String>>) {
    let fixed_parts: &[&str] = match rng.u8(0..6) {
        0 => return ("{\"n\":1}".to_owned(), None),
        1 => return ("{\"n\":[]}".to_owned(), None),
        2 => return ("{\"n\":\"&\u{2028}\"}".to_owned(), None),
        3 => &["{\"&&\":", ",\"\u{2028}\":1}"],
        4 => &["{\"at\":", ",\"n\":1}"],
        _ => &["{\"at\":", ",\"n\":{\"é\":\"", "\"}}"],
    };
    let payload = fixed_parts.join(&fire_time.to_string());
    let fixed_parts = fixed_parts.iter().map(|it| (*it).to_owned()).collect();
    (payload, Some(fixed_parts))
}

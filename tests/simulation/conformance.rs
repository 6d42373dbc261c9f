//! The model is Redis: random calls and what apps do between them, on the model and on a real
//! redis-server, give the same replies and leave the same behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    num::{NonZeroU64, NonZeroUsize},
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta};
use redis::Commands as _;
use rescue_scheduler::{
    core::schedule::overlap::{Guard, Overlap},
    store::{
        Away, BatchLimit, Due, Fire, Identity, Limits, RecordChange, Records, RedisStore, Store,
        Target,
    },
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    laws::Laws,
    network::{Host, ModelStore, Process, World},
};
use crate::{
    harness::{LOCK, Redis},
    store::store_as,
};

const CASES: u64 = 300;
const STEPS: usize = 40;
const TOKEN: &str = "resque:rescue_scheduler:token";
const LEASE: Duration = Duration::from_secs(3_600);
/// Far ahead of the clocks of both.
const FUTURE: i64 = 4_000_000_000;

/// Two schedulers on each of both.
struct Both<'a> {
    redis: &'a mut Redis,
    real: [RedisStore; 2],
    model: [ModelStore; 2],
    rng: fastrand::Rng,
    /// What was due when they last looked.
    due: Due,
    told: Vec<String>,
}

/// A reply without what need not be the same: the words of errors.
fn told(reply: &impl Debug) -> String {
    let reply = format!("{reply:?}");
    if reply.starts_with("Err(Corrupt") {
        return "corrupt".to_owned();
    }
    let mut parts = reply.split("WRONGTYPE");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |told, part| {
        let after = part.split_once('"').unwrap().1;
        format!("{told}WRONGTYPE\"{after}")
    })
}

/// Calls both stores of a scheduler, holds the replies (or what is made of them) against each other,
/// and returns the model's.
macro_rules! agree {
    ($both:ident, $who:expr, $call:ident($($argument:expr),*), $made:expr) => {{
        let model = $both.model[$who].$call($($argument),*).await.map($made);
        let real = $both.real[$who].$call($($argument),*).await.map($made);
        $both.told.push(format!("{} of {}: {}", stringify!($call), $who, told(&model)));
        assert_eq!(told(&model), told(&real), "{:#?}", $both.told);
        model
    }};
}

impl Both<'_> {
    async fn step(&mut self) {
        let who = self.rng.usize(0..2);
        match self.rng.u8(0..30) {
            0..3 => {
                let stuck = self.rng.choice([None, Some("ruby:1")]).unwrap();
                let _ = agree!(self, who, take_lease(LEASE, stuck), |(lease, _)| {
                    // The time that is left is not the same to the millisecond.
                    let lease = format!("{lease:?}");
                    lease.split("Some(").next().map(str::to_owned)
                });
            }
            3 => drop(agree!(self, who, release_lease(), |it| it)),
            4 | 5 => self.change_records(who).await,
            6..9 => self.fire(who).await,
            9..12 => self.look(who).await,
            12..15 => self.move_batch(who).await,
            15..19 => self.delay(),
            19 => self.remove(),
            20 => self.change_entries(who).await,
            21..24 => self.work(),
            24..27 => self.push_or_pop(),
            _ => self.break_something(),
        }
    }

    /// A scheduler settles a change that it has read, or thinks that it has.
    async fn change_entries(&mut self, who: usize) {
        self.change_entry();
        let _ = agree!(self, who, changed_entries(), BTreeSet::from_iter);
        let _ = agree!(self, who, dynamic_entries(), |it| it);
        let names = [self.rng.choice(["a", "b"]).unwrap().into(), b"c".to_vec()];
        let _ = agree!(self, who, dynamic_entries_of(&names), |it| it);
        let name = self.rng.choice(["a", "b"]).unwrap();
        let read = self.rng.choice(["", "{}", "1"]).unwrap();
        let settled = [(name.into(), read.into())];
        let _ = agree!(self, who, settle_changes(&settled), |it| it);
        let _ = agree!(self, who, changed_entries(), BTreeSet::from_iter);
    }

    /// An app sets or removes a dynamic entry.
    fn change_entry(&mut self) {
        let name = self.rng.choice(["a", "b"]).unwrap();
        let json = self.rng.choice(["", "{}", "1"]).unwrap();
        let mut world = self.model[0].world();
        let model = world.model();
        let mut change = redis::pipe();
        if json.is_empty() {
            change.hdel("resque:persistent_schedules", name);
            model.dynamic_entries.remove(name.as_bytes());
        } else {
            change.hset("resque:persistent_schedules", name, json);
            model.dynamic_entries.insert(name.into(), json.into());
        }
        change.sadd("resque:schedules_changed", name);
        model.changed_entries.insert(name.into());
        let () = change.query(&mut self.redis.connection).unwrap();
    }

    async fn change_records(&mut self, who: usize) {
        let rng = &mut self.rng;
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let changes: Vec<_> = (0..rng.usize(0..5)).map(|_| a_change(rng)).collect();
        let now = at(rng.i64(0..4));
        self.told.push(format!("{changes:?}"));
        let _ = agree!(self, who, change_records(&changes, now), |it| it);
        let left = |_| (a_name(&mut self.rng), at(self.rng.i64(0..4)));
        let left: Vec<_> = (0..2).map(left).collect();
        let _ = agree!(self, who, forget(&left), |it| it);
        let sorted = |it: Records| {
            let hashes = (BTreeMap::from_iter(it.seen), BTreeMap::from_iter(it.fired));
            let more = (BTreeMap::from_iter(it.fires), BTreeMap::from_iter(it.away));
            (hashes, more, it.enqueued_elsewhere)
        };
        let _ = agree!(self, who, records(), sorted);
        let names = [a_name(&mut self.rng), a_name(&mut self.rng)];
        let _ = agree!(self, who, records_of(&names), sorted);
    }

    async fn fire(&mut self, who: usize) {
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
    fn work(&mut self) {
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

    fn push_or_pop(&mut self) {
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

    async fn look(&mut self, who: usize) {
        let now = match self.rng.u8(0..4) {
            0 => FUTURE + 1,
            _ => self.rng.i64(0..8),
        };
        let now = DateTime::from_timestamp(now, 0).unwrap();
        let limit = BatchLimit {
            count: self.rng.usize(1..12),
            bytes: self.rng.choice([1, 60, 6_000, 1 << 20]).unwrap(),
        };
        let from = self.due.last.as_ref().filter(|_| self.rng.bool());
        let _ = agree!(self, who, is_any_due(now, from), |it| it);
        let due = agree!(self, who, due(now, limit, from), |it| it);
        self.due = due.unwrap().unwrap_or_default();
        for (member, bytes) in &self.due.too_large {
            let reason = bytes.to_string();
            let _ = agree!(self, who, set_aside(member, &reason, now), |it| it);
        }
        let _ = agree!(self, who, quarantined(), |it| it);
        let _ = agree!(self, who, takes_jobs("r"), |it| it);
    }

    /// Mostly what was due a while ago; much may have happened since.
    async fn move_batch(&mut self, who: usize) {
        let rng = &mut self.rng;
        let target = |item: &Vec<u8>| match rng.u8(0..5) {
            0 => Target::Quarantine {
                reason: "a reason".to_owned(),
                at: DateTime::UNIX_EPOCH,
            },
            queue => Target::Queue {
                name: ["q", "r"][usize::from(queue % 2)].to_owned(),
                // Another text, or, as of what Ruby writes, what an item begins with.
                payload: if rng.bool() {
                    format!("payload {}", rng.u32(..))
                } else {
                    format!("{}}}", str::from_utf8(&item[..item.len() / 2]).unwrap())
                },
            },
        };
        let targets: Vec<Target> = self
            .due
            .buckets
            .iter()
            .flat_map(|it| &it.items)
            .map(target)
            .collect();
        let _ = agree!(self, who, move_batch(&self.due.buckets, &targets), |it| it);
    }

    /// The same items again and again, some of them large.
    fn an_item(&mut self) -> (i64, Vec<u8>) {
        let length = self
            .rng
            .choice([1, 1, 2, 3, 20, 5_000, 140_000, 160_000])
            .unwrap();
        let letter = self.rng.choice(*b"xyz").unwrap();
        let timestamp = match self.rng.u8(0..8) {
            0 => FUTURE,
            _ => self.rng.i64(0..6),
        };
        (timestamp, vec![letter; length])
    }

    fn delay(&mut self) {
        let (timestamp, item) = self.an_item();
        let member = timestamp.to_string().into_bytes();
        if self
            .world()
            .lock()
            .unwrap()
            .model()
            .broken_buckets
            .contains(&member)
        {
            return;
        }
        self.told.push(format!("delay {timestamp} {}", item.len()));
        for _ in 0..self.rng.u8(1..4) {
            self.world().lock().unwrap().model().delay(timestamp, &item);
            self.redis.delay(timestamp, &item);
        }
    }

    fn remove(&mut self) {
        let (timestamp, item) = self.an_item();
        let bucket = format!("resque:delayed:{timestamp}");
        let removed: redis::RedisResult<usize> = self.redis.connection.lrem(&bucket, 0, &item);
        let Ok(removed) = removed else { return };
        if !self.redis.connection.exists::<_, bool>(&bucket).unwrap() && removed > 0 {
            let schedule = "resque:delayed_queue_schedule";
            let () = self.redis.connection.zrem(schedule, timestamp).unwrap();
        }
        self.told.push(format!("remove {timestamp} {}", item.len()));
        let model = self
            .world()
            .lock()
            .unwrap()
            .model()
            .remove(timestamp, &item);
        assert_eq!(model, removed, "{:#?}", self.told);
    }

    fn world(&self) -> Arc<Mutex<World>> {
        Arc::clone(&self.model[0].process.host.world)
    }

    /// A lock that ends or has no end, a key that is no list, or is one again.
    fn break_something(&mut self) {
        let world = self.world();
        let mut world = world.lock().unwrap();
        let (model, redis) = (world.model(), &mut self.redis.connection);
        let kind = self.rng.u8(0..6);
        self.told.push(format!("break {kind}"));
        match kind {
            0 => {
                model.expire_lock();
                let () = redis.del(&[LOCK, TOKEN]).unwrap();
            }
            1 => {
                model.leave_lock("ruby:1");
                let () = redis.set(LOCK, "ruby:1").unwrap();
                let () = redis.del(TOKEN).unwrap();
            }
            2 if model.broken.insert("r".to_owned()) => set_aside(redis, "resque:queue:r"),
            3 if model.broken_buckets.insert(b"3".to_vec()) => set_aside(redis, "resque:delayed:3"),
            4 if !model.workers_broken => {
                model.workers_broken = true;
                set_aside(redis, "resque:workers");
            }
            _ => {
                if model.broken.remove("r") {
                    put_back(redis, "resque:queue:r");
                }
                if std::mem::take(&mut model.workers_broken) {
                    put_back(redis, "resque:workers");
                }
                if model.broken_buckets.remove(&b"3"[..]) {
                    put_back(redis, "resque:delayed:3");
                }
            }
        }
    }

    /// Holds all that is left in both against each other.
    fn compare(&mut self) {
        let world = self.world();
        let mut world = world.lock().unwrap();
        let (model, redis) = (world.model(), &mut self.redis.connection);
        for key in model.broken.iter().map(|it| format!("resque:queue:{it}")) {
            put_back(redis, &key);
        }
        if !model.broken_buckets.is_empty() {
            put_back(redis, "resque:delayed:3");
        }
        for (name, payloads) in &model.queues {
            let held: Vec<String> = redis.lrange(format!("resque:queue:{name}"), 0, -1).unwrap();
            assert_eq!(held, *payloads, "{:#?}", self.told);
        }
        for timestamp in (0..6).chain([FUTURE]) {
            let held: Vec<Vec<u8>> = redis
                .lrange(format!("resque:delayed:{timestamp}"), 0, -1)
                .unwrap();
            let model = model.buckets.get(timestamp.to_string().as_bytes());
            assert_eq!(&held, model.unwrap_or(&vec![]), "{:#?}", self.told);
        }
        let schedule: Vec<(Vec<u8>, i64)> = redis
            .zrange_withscores("resque:delayed_queue_schedule", 0, -1)
            .unwrap();
        let schedule: BTreeSet<_> = schedule
            .into_iter()
            .map(|(member, score)| (score, member))
            .collect();
        assert_eq!(schedule, model.schedule, "{:#?}", self.told);
        let names: BTreeSet<String> = redis.smembers("resque:queues").unwrap();
        assert_eq!(names, model.queue_names, "{:#?}", self.told);
        let quarantine: Vec<String> = redis
            .lrange("resque:rescue_scheduler:quarantine", 0, -1)
            .unwrap();
        let record = |record: &String| {
            let record: Value = serde_json::from_str(record).unwrap();
            let text = |key: &str| record[key].as_str().unwrap().to_owned();
            let item = match &record["item_key"] {
                Value::String(key) => {
                    let item: Vec<u8> = redis.lpop(format!("resque:{key}"), None).unwrap();
                    assert_eq!(record["item_bytes"], item.len());
                    item
                }
                _ => text("item").into_bytes(),
            };
            (item, text("reason"))
        };
        let quarantine: Vec<_> = quarantine.iter().map(record).collect();
        assert_eq!(quarantine, model.quarantine, "{:#?}", self.told);
        let holder: Option<String> = redis.get(LOCK).unwrap();
        assert_eq!(holder.as_deref(), model.holder(), "{:#?}", self.told);
    }
}

fn a_name(rng: &mut fastrand::Rng) -> String {
    rng.choice(["a", "b", "c"]).unwrap().to_owned()
}

/// A change of the records of an entry, which may be out of date.
fn a_change(rng: &mut fastrand::Rng) -> RecordChange {
    let name = a_name(rng);
    let mut at = || DateTime::from_timestamp(rng.i64(0..4), 0).unwrap();
    let (since, until) = (at(), at());
    let until = rng.bool().then_some(until);
    let timings = ["v1 every 1", "v1 cron * * * * * UTC"];
    let mut timing = || rng.choice(timings).unwrap().to_owned();
    let (one, other) = (timing(), timing());
    match rng.u8(0..4) {
        0 => RecordChange::First { name, timing: one },
        1 => RecordChange::Reworded {
            name,
            first_seen: since,
            old: one,
            new: other,
        },
        2 => {
            let was = rng.bool().then_some(Away { since, until });
            RecordChange::Left { name, was }
        }
        _ => RecordChange::Returned { name, since },
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

/// Puts a string in the place of a list.
fn set_aside(redis: &mut redis::Connection, key: &str) {
    // There may be none.
    let _ = redis.rename::<_, _, ()>(key, format!("aside:{key}"));
    let () = redis.set(key, "a string").unwrap();
}

fn put_back(redis: &mut redis::Connection, key: &str) {
    let () = redis.del(key).unwrap();
    let _ = redis.rename::<_, _, ()>(format!("aside:{key}"), key);
}

/// A scheduler on the model, where nothing goes wrong.
fn on_model(identity: Identity, world: &Arc<Mutex<World>>) -> ModelStore {
    ModelStore::new(Arc::new(Process {
        number: 0,
        identity,
        host: Host::new(world),
        killed: CancellationToken::new(),
    }))
}

#[tokio::test]
async fn the_model_does_what_redis_does() {
    let mut redis = Redis::start();
    let identity = |rng: &mut fastrand::Rng, number: usize| Identity {
        // Sometimes both have one name, as process 1 in two containers of one host.
        holder: format!("host{}:1", rng.usize(0..=number)),
        token: number.to_string(),
    };
    for seed in 0..CASES {
        let () = redis::cmd("FLUSHALL").query(&mut redis.connection).unwrap();
        let mut rng = fastrand::Rng::with_seed(seed);
        let identities = [identity(&mut rng, 0), identity(&mut rng, 1)];
        let world = Arc::new(Mutex::new(World::new(seed, Laws::default())));
        let limits = Limits {
            item: 150_000,
            quarantine: rng.usize(0..12),
            clock_skew: Some(TimeDelta::seconds(30)),
        };
        world.lock().unwrap().model().limits = limits;
        let real = |it: Identity| {
            let store = store_as(redis.url(), &it.holder, &it.token, None);
            store.with_limits(limits)
        };
        let real = identities.clone().map(real);
        let mut both = Both {
            redis: &mut redis,
            real,
            model: identities.map(|identity| on_model(identity, &world)),
            rng,
            due: Due::default(),
            told: vec![format!("case {seed}")],
        };
        for _ in 0..STEPS {
            both.step().await;
        }
        both.compare();
    }
    println!("{CASES} cases of {STEPS} steps");
}

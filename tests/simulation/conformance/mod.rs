//! Checks the model against Redis: random calls, and changes by apps between them, give the same replies on the
//! model and on a real redis-server, and leave the same data.

mod delayed;
mod entries;
mod jobs;

use std::{
    collections::BTreeSet,
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::TimeDelta;
use redis::Commands as _;
use rescue_scheduler::store::{Due, Identity, Limits, RedisStore, Store as _};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    history::Record,
    laws::Laws,
    network::{Host, ModelStore, Process},
    world::World,
};
use crate::{
    harness::{LOCK, Redis},
    store::store_as,
};

const CASES: u64 = 300;
const STEPS: usize = 40;
const TOKEN: &str = "resque:rescue_scheduler:token";
const LEASE: Duration = Duration::from_secs(3_600);
/// A time far ahead of both clocks.
const FUTURE: i64 = 4_000_000_000;

/// Two schedulers on the model, and two on a real Redis.
struct Both<'a> {
    redis: &'a mut Redis,
    real: [RedisStore; 2],
    model: [ModelStore; 2],
    rng: fastrand::Rng,
    /// The delayed jobs that the last look returned.
    due: Due,
    told: Vec<String>,
}

/// Returns a reply as text, without the parts that may differ, such as the text of errors.
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

/// Sends a call to both stores of a scheduler, asserts that the replies (or what `$made` makes of them) are equal,
/// and returns the model's reply.
macro_rules! agree {
    ($both:ident, $who:expr, $call:ident($($argument:expr),*), $made:expr) => {{
        let model = $both.model[$who].$call($($argument),*).await.map($made);
        let real = $both.real[$who].$call($($argument),*).await.map($made);
        $both.told.push(format!("{} of {}: {}", stringify!($call), $who, told(&model)));
        assert_eq!(told(&model), told(&real), "{:#?}", $both.told);
        model
    }};
}
use agree;

impl Both<'_> {
    async fn step(&mut self) {
        let who = self.rng.usize(0..2);
        match self.rng.u8(0..35) {
            0..3 => {
                let stuck = self.rng.choice([None, Some("ruby:1")]).unwrap();
                let _ = agree!(self, who, take_lease(LEASE, stuck, None), |(lease, _)| {
                    // The remaining time may differ by some milliseconds.
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
            20 | 21 => self.change_entries(who).await,
            22..24 => self.work(),
            24..27 => self.push_or_pop(),
            27..30 => self.break_something(),
            30 | 31 => self.note_missed(who).await,
            32 => self.publish(who).await,
            _ => self.pause_or_resume(),
        }
    }

    fn world(&self) -> Arc<Mutex<World>> {
        Arc::clone(&self.model[0].process.host.world)
    }

    /// Sets a lock with or without a TTL, replaces a list by a string, or restores it.
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

    /// Asserts that both have the same data.
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
        for name in ["a", "b", "c"] {
            let history: Vec<String> = redis
                .lrange(format!("resque:rescue_scheduler:history:{name}"), 0, -1)
                .unwrap();
            let model = model.histories.get(name).map_or(&[][..], Vec::as_slice);
            let model: Vec<String> = model.iter().map(history_record).collect();
            let history: Vec<String> = history.iter().map(|it| without_reason(it)).collect();
            assert_eq!(history, model, "{:#?}", self.told);
        }
        let holder: Option<String> = redis.get(LOCK).unwrap();
        assert_eq!(holder.as_deref(), model.holder(), "{:#?}", self.told);
    }
}

/// Returns a record of the model as Redis stores it, without the reason.
fn history_record(record: &Record) -> String {
    let Record {
        outcome,
        first,
        last,
        count,
        at,
        lateness,
    } = record;
    let shown = |number: Option<i64>| number.map_or("-".to_owned(), |it| it.to_string());
    let (count, lateness) = (shown(count.map(i64::from)), shown(*lateness));
    format!("{outcome} {first} {last} {count} {at} {lateness}")
}

fn without_reason(record: &str) -> String {
    let parts: Vec<&str> = record.splitn(7, ' ').take(6).collect();
    parts.join(" ")
}

/// Replaces a list by a string.
fn set_aside(redis: &mut redis::Connection, key: &str) {
    // The list may not exist.
    let _ = redis.rename::<_, _, ()>(key, format!("aside:{key}"));
    let () = redis.set(key, "a string").unwrap();
}

fn put_back(redis: &mut redis::Connection, key: &str) {
    let () = redis.del(key).unwrap();
    let _ = redis.rename::<_, _, ()>(format!("aside:{key}"), key);
}

/// Returns a scheduler on the model without trouble.
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
        // Sometimes both have the same name, as process 1 in two containers of one host.
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
            history: rng.usize(0..4),
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

//! One run: two hosts whose schedulers start and stop, apps, and trouble.

use std::{
    collections::BTreeMap,
    hash::Hasher as _,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use rescue_scheduler::{
    clock::Clock as _,
    core::{schedule::Schedule, time::zone::Zone},
    engine::{Commands, Engine, Options, recurring::Recurring},
    events::Events,
    store::{Identity, PublishedEntry, Store as _},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    laws::{Delayed, Fate, Laws},
    network::{Host, ModelStore, Process},
    world::{Counts, State, Weather, World, now},
};
use crate::{harness, store};

/// Trouble happens until then.
const TROUBLE: Duration = Duration::from_secs(20);
/// End of the run. After the trouble, there is time to do what is left.
const END: Duration = Duration::from_secs(33);
/// In milliseconds.
const YEAR: i64 = 31_536_000_000;
/// Longest time that a scheduler takes to stop if it is not killed.
const STOP: Duration = Duration::from_secs(1);

/// Names and timings. Each entry has its own queue.
const ENTRIES: [(&str, &str); 7] = [
    (
        "each",
        "every = '1s'\ncatch_up = 'all'\ncatch_up_window = '1d'",
    ),
    ("latest", "every = '7s'"),
    ("minute", "cron = '* * * * *'"),
    ("few", "every = '2s'\ntimes = 3"),
    ("spread", "every = '5s'\njitter = '2s'\ncatch_up = 'none'"),
    (
        "single",
        "every = '1s'\ncatch_up = 'all'\ncatch_up_window = '1d'\noverlap = 'skip_if_running'",
    ),
    ("capped", "every = '1s'\ntimes = 6\nmax_queue_length = 2"),
];
/// Entries whose jobs a worker takes.
const WORKED_ON: [&str; 2] = ["single", "capped"];

fn schedule() -> Schedule {
    let entry = |(name, timing)| {
        let job = format!("class = '{name}'\nqueue = '{name}'\ninclude_metadata = true");
        format!("[schedule.{name}]\n{timing}\n{job}\n")
    };
    store::schedule(&ENTRIES.map(entry).concat())
}

/// Result of a run.
pub struct Outcome {
    pub broken: Option<String>,
    pub counts: Counts,
    pub trace: u64,
}

/// State of one run, shared by everyone in it.
struct Run {
    world: Arc<Mutex<World>>,
    hosts: [Arc<Host>; 2],
    schedule: Schedule,
    lease: Duration,
    /// Whether all processes have the same name, as process 1 in containers of one host.
    twins: bool,
    /// Maximum difference between a host's clock and Redis's, in milliseconds.
    max_skew: Option<i64>,
    /// Whether the second host stays down at the end.
    one_is_left: bool,
    processes: AtomicU32,
    start: Instant,
}

pub async fn simulate(seed: u64) -> Outcome {
    let run = Arc::new(Run::new(seed));
    let mut all = JoinSet::new();
    for number in 0..2 {
        all.spawn(Arc::clone(&run).host(number));
    }
    all.spawn(Arc::clone(&run).apps());
    for entry in WORKED_ON {
        all.spawn(Arc::clone(&run).worker(entry));
    }
    all.spawn(Arc::clone(&run).trouble());
    sleep_until(run.start + END).await;
    let now = DateTime::from_timestamp_millis(run.world().clock()).unwrap();
    run.judge_end(now);
    run.judge_published();
    all.join_all().await;
    run.outcome()
}

/// Two processes with the same name both believe to be the leader and see entries for the first time at the same
/// moment.
pub async fn first_sight(seed: u64) -> Outcome {
    let run = Run::new(seed);
    run.world().weather = Weather {
        slowest_ms: 20,
        ..Weather::default()
    };
    let process = run.new_process(0);
    let store = ModelStore::new(Arc::clone(&process));
    store.take_lease(run.lease, None, None).await.unwrap();
    let engine = || {
        Recurring::new(
            store.with_own_connection(),
            Arc::clone(&process.host) as _,
            Zone::UTC,
            Events::default(),
        )
    };
    let (mut one, mut other) = (engine(), engine());
    let now = process.host.now();
    let later = now + TimeDelta::seconds(2);
    let both = tokio::try_join!(
        one.take_up(&run.schedule, now),
        other.take_up(&run.schedule, later)
    );
    both.unwrap();
    let later = later + TimeDelta::seconds(1);
    other.tick(later).await.unwrap();
    run.judge_end(later);
    run.outcome()
}

impl Run {
    fn new(seed: u64) -> Self {
        let schedule = schedule();
        let mut world = World::new(seed, Laws::of(&schedule));
        let rng = &mut world.rng;
        let weather = Weather {
            lost: rng.choice([0.0, 0.01, 0.05, 0.3]).unwrap(),
            late: rng.choice([0.0, 0.01, 0.05]).unwrap(),
            crash: rng.choice([0.0, 0.002, 0.01]).unwrap(),
            slowest_ms: rng.choice([1, 5, 50, 700]).unwrap(),
        };
        let lease = Duration::from_secs(rng.u64(1..=5));
        let (twins, one_is_left) = (rng.bool(), rng.bool());
        let max_skew = rng.choice([None, Some(1_000), Some(2_000), Some(5_000)]);
        let max_skew = max_skew.unwrap();
        let laws = &mut world.state.laws;
        laws.enqueued_slack = 2_000 + i64::try_from(lease.as_millis()).unwrap();
        laws.due_slack = 3_000 + max_skew.unwrap_or_default();
        world.state.model.limits.clock_skew = max_skew.map(TimeDelta::milliseconds);
        world.state.model.limits.history = 10_000;
        world.weather = weather;
        let world = Arc::new(Mutex::new(world));
        Self {
            hosts: [Host::new(&world), Host::new(&world)],
            world,
            schedule,
            lease,
            twins,
            max_skew,
            one_is_left,
            processes: AtomicU32::new(0),
            start: now(),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn judge_end(&self, now: DateTime<Utc>) {
        let world = &mut *self.world();
        let State { model, laws, .. } = &world.state;
        let mut judged = laws.judge_end(model, now, world.jumped);
        if world.failovers == 0 && !world.jumped {
            judged = judged.and_then(|()| laws.judge_accounts(model, now));
        }
        world.expect(judged);
    }

    /// Checks that at the end the entries in force are published, and no others.
    fn judge_published(&self) {
        let world = &mut *self.world();
        let entries = self.schedule.entries();
        let published: BTreeMap<_, _> = entries
            .map(|it| (it.name.clone().into_bytes(), PublishedEntry::json(it)))
            .collect();
        let found = &world.state.model.published;
        let judged = (*found == published).then_some(());
        let judged = judged.ok_or_else(|| format!("published: {:?}", found.keys()));
        world.expect(judged);
    }

    fn outcome(&self) -> Outcome {
        let world = self.world();
        Outcome {
            broken: world.broken.clone(),
            counts: world.counts.clone(),
            trace: world.trace.finish(),
        }
    }

    fn milliseconds(&self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.world().rng.u64(range))
    }

    fn is_quiet(&self) -> bool {
        now() >= self.start + TROUBLE
    }

    /// Runs one process after the other on a host.
    async fn host(self: Arc<Self>, number: usize) {
        sleep(self.milliseconds(0..2_000)).await;
        while !(self.is_quiet() && self.one_is_left && number == 1) {
            let mut death = now() + self.milliseconds(1..8_000);
            if self.world().rng.u8(..) < 100 || death > self.start + TROUBLE {
                death = self.start + END;
            }
            self.process(number, death).await;
            if now() >= self.start + END {
                break;
            }
            sleep(self.milliseconds(0..4_000)).await;
        }
    }

    fn new_process(&self, host: usize) -> Arc<Process> {
        let number = self.processes.fetch_add(1, Relaxed);
        let name = if self.twins { 0 } else { host };
        Arc::new(Process {
            number,
            identity: Identity {
                holder: format!("host{name}:1"),
                token: number.to_string(),
            },
            host: Arc::clone(&self.hosts[host]),
            killed: CancellationToken::new(),
        })
    }

    /// Runs a process until it crashes or until `death`.
    async fn process(&self, host: usize, death: Instant) {
        let process = self.new_process(host);
        let options = Options {
            interval: Duration::from_secs(5),
            ..store::options(self.lease)
        };
        let clock = Arc::clone(&process.host);
        let engine = Engine::new(
            ModelStore::new(Arc::clone(&process)),
            clock,
            options,
            Events::default(),
        );
        let ((_commands, requests), stop) = (Commands::new(), CancellationToken::new());
        let load = Arc::new(|| Ok(schedule()));
        let run = engine.run(self.schedule.clone(), load, requests, stop.clone());
        let mut engine = Box::pin(run);
        tokio::select! {
            biased;
            () = process.killed.cancelled() => return,
            () = &mut engine => {}
            () = sleep_until(death) => {}
        }
        if self.world().rng.bool() {
            self.world().count("clean stops");
            stop.cancel();
            let stopped = timeout(STOP, engine).await;
            let late =
                stopped.map_err(|_| format!("process {} did not stop in {STOP:?}", process.number));
            self.world().expect(late);
        } else {
            self.world().count("kills");
        }
    }

    /// Apps add delayed jobs and remove some of them.
    async fn apps(self: Arc<Self>) {
        while !self.is_quiet() {
            sleep(self.milliseconds(1..800)).await;
            let world = &mut *self.world();
            if now() < world.down_until {
                continue;
            }
            if world.rng.u8(..) < 180 {
                let many = world.rng.u32(0..4_000) == 0;
                let count = if many { 1_100 } else { world.rng.u64(1..5) };
                Self::delay(world, count);
            } else {
                Self::remove(world);
            }
        }
    }

    fn delay(world: &mut World, count: u64) {
        // Some timestamps are the current second or earlier ones, which a scheduler may be moving right now.
        let timestamp =
            world.clock() / 1000 + world.rng.choice([-2, 0, 0, 1, 1, 2, 5, 12]).unwrap();
        for _ in 0..count {
            let number = world.state.laws.delayed.len();
            let item = match world.rng.u8(0..20) {
                0 => format!("garbage {number}"),
                1..5 => harness::item("shaky", number),
                _ => harness::item("steady", number),
            };
            world.model().delay(timestamp, item.as_bytes());
            let fate = Fate::Waiting;
            let delayed = Delayed {
                timestamp,
                item,
                fate,
            };
            world.state.laws.delayed.insert(number, delayed);
        }
    }

    /// A worker takes the jobs of an entry and runs each of them for a while.
    async fn worker(self: Arc<Self>, entry: &'static str) {
        while !self.is_quiet() {
            sleep(self.milliseconds(1..3_000)).await;
            let world = &mut *self.world();
            if now() >= world.down_until && !world.model().broken.contains(entry) {
                Self::work(world, entry);
            }
        }
    }

    /// Finishes a job, or takes one. A failover may revert that.
    fn work(world: &mut World, entry: &str) {
        let State { model, laws, .. } = &mut world.state;
        let queue = model.queues.entry(entry.to_owned()).or_default();
        let job = if laws.finish(entry) || queue.is_empty() {
            None
        } else {
            let payload = queue.remove(0);
            laws.take(entry, &payload);
            let job = format!("{{\"queue\":\"{entry}\",\"payload\":{payload}}}");
            world.count("jobs taken");
            Some(job)
        };
        world.state.model.workers.insert(entry.to_owned(), job);
    }

    fn remove(world: &mut World) {
        let count = world.state.laws.delayed.len();
        let number = count.saturating_sub(world.rng.usize(1..30));
        let Some(Delayed {
            timestamp, item, ..
        }) = world.state.laws.delayed.get(&number).cloned()
        else {
            return;
        };
        let removed = world.model().remove(timestamp, item.as_bytes());
        let delayed = world.state.laws.delayed.get_mut(&number).unwrap();
        let was_there = delayed.fate == Fate::Waiting;
        if removed == 1 {
            delayed.fate = Fate::Removed;
        }
        let judged = (was_there == (removed == 1)).then_some(());
        world.expect(judged.ok_or(format!("{item} was removed {removed} times")));
    }

    /// Whether Redis may lose its data now. Late requests of twins would then fire entries that were not seen, and
    /// two losses within one lease are more than the scheduler guarantees to survive.
    fn may_forget(&self, world: &World) -> bool {
        let lease = i64::try_from(self.lease.as_millis()).unwrap();
        let forgot_at = world.state.laws.forgot_at;
        let is_long_ago = forgot_at.is_none_or(|at| world.clock() > at + 2 * lease);
        is_long_ago && !self.twins && self.max_skew.is_some()
    }

    /// A person pauses an entry or all entries, or resumes them.
    fn pause_or_resume(world: &mut World) {
        let name = world.rng.choice(["each", "latest", "single", "*"]).unwrap();
        let paused = &mut world.model().paused;
        if paused.remove(name).is_none() {
            paused.insert(name.to_owned(), i64::MAX);
        }
        world.count("pauses and their ends");
    }

    /// Causes trouble for hosts and Redis until the time of trouble is over, then ends it.
    async fn trouble(self: Arc<Self>) {
        let mut saved = self.world().state.clone();
        let end = self.start + TROUBLE;
        loop {
            sleep_until(end.min(now() + self.milliseconds(50..3_000))).await;
            if self.is_quiet() {
                break;
            }
            let host = &self.hosts[self.world().rng.usize(0..2)];
            let world = &mut *self.world();
            match world.rng.u8(0..18) {
                0..3 => world.down_until = now() + Duration::from_millis(world.rng.u64(1..5_000)),
                3..6 => {
                    let ms = 2_500 * self.lease.as_secs();
                    let until = now() + Duration::from_millis(world.rng.u64(1..ms));
                    *host.frozen_until.lock().unwrap() = until.min(end);
                    world.count("freezes");
                }
                6..10 => {
                    let furthest = 10_i64.pow(world.rng.u32(2..7)).min(3_600_000);
                    let mut ahead = world.rng.i64(-furthest..=furthest);
                    if self.max_skew.is_some() && world.rng.u8(0..4) == 0 {
                        ahead = YEAR * ahead.signum();
                        world.count("years");
                    }
                    host.ahead.store(ahead, Relaxed);
                    // Without a maximum skew, entries may wait for as long as a clock was ahead.
                    world.jumped |= ahead > 1_000 && self.max_skew.is_none();
                    world.count("clock steps");
                }
                10 => saved = world.state.clone(),
                // Only fail over to states that have every entry. For an entry without any records, a leader
                // continues from memory.
                11 if saved.model.has_seen_all_of(world.model()) => {
                    world.state = saved.clone();
                    world.failovers += 1;
                    world.count("failovers");
                }
                12 | 13 => {
                    let queue = world
                        .rng
                        .choice(["each", "latest", "single", "shaky"])
                        .unwrap();
                    world.model().broken.insert(queue.to_owned());
                }
                14 => world.model().leave_lock("ruby:1"),
                15 if self.may_forget(world) => {
                    let restart = world.rng.bool();
                    world.forget(restart);
                    saved = world.state.clone();
                }
                16 => world.model().expire_lock(),
                _ => Self::pause_or_resume(world),
            }
            if world.rng.u8(0..4) == 0 {
                world.model().broken.clear();
            }
        }
        let world = &mut *self.world();
        world.weather = Weather {
            slowest_ms: 3,
            ..Weather::default()
        };
        world.model().broken.clear();
        world.model().paused.clear();
        world.down_until = now();
        for host in &self.hosts {
            host.ahead.store(world.rng.i64(-200..=200), Relaxed);
        }
    }
}

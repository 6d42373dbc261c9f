//! One run: two hosts with different schedules, runs of `--once`, apps, and trouble.

use std::{
    hash::Hasher as _,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use chrono::TimeDelta;
use rescue_scheduler::{
    config::{self, Context, Source},
    core::schedule::Schedule,
    engine::{Commands, Engine, Load, Options},
    events::Events,
    store::Identity,
};
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        laws::Laws,
        network::{Host, ModelStore, Process},
        scenario::Outcome,
        world::{Weather, World, now},
    },
    Changing, View,
    versions::Files,
};
use crate::store::options;

/// Trouble happens until then.
pub const TROUBLE: Duration = Duration::from_secs(20);
/// Schedules change until then.
const CHANGES: Duration = Duration::from_secs(28);
/// At this time, all clocks advance by a day.
pub const DAY_LATER: Duration = Duration::from_secs(40);
const END: Duration = Duration::from_secs(50);
/// Processes are stopped at this time.
const STOP: Duration = Duration::from_secs(51);

/// State of one run, shared by everyone in it.
pub struct Run {
    world: Arc<Mutex<World>>,
    pub hosts: [Arc<Host>; 2],
    /// The current version of each entry of the files, and the versions that each host has.
    files: Mutex<(Files, [Files; 2])>,
    /// Whether each host runs with `--dynamic`.
    dynamic: [bool; 2],
    /// When the one-shot entry is due.
    moment: i64,
    pub lease: Duration,
    processes: AtomicU32,
    pub start: Instant,
}

pub async fn simulate(seed: u64) -> Outcome {
    let run = Arc::new(Run::new(seed));
    let mut all = JoinSet::new();
    for number in 0..2 {
        all.spawn(Arc::clone(&run).host(number));
        all.spawn(Arc::clone(&run).apps());
    }
    all.spawn(Arc::clone(&run).single_runs());
    all.spawn(Arc::clone(&run).trouble());
    let mut calm = false;
    while now() < run.start + END {
        sleep(Duration::from_millis(203)).await;
        calm = run.watch();
    }
    if !calm {
        let world = &mut *run.world();
        let changing = world.changing.as_ref().unwrap();
        let leader = changing.leader.map(|it| (it, &changing.views[&it]));
        let calm = now().checked_duration_since(changing.calm_since);
        let broken = format!("no leader has all in force: {leader:?}, calm for {calm:?}");
        world.expect(Err(broken));
    }
    all.join_all().await;
    run.outcome()
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed, Laws::default());
        let rng = &mut world.rng;
        world.weather = Weather {
            lost: rng.choice([0.0, 0.01, 0.05, 0.2]).unwrap(),
            late: rng.choice([0.0, 0.01, 0.05]).unwrap(),
            crash: rng.choice([0.0, 0.002, 0.01]).unwrap(),
            slowest_ms: rng.choice([1, 5, 50, 200]).unwrap(),
        };
        let lease = Duration::from_secs(rng.u64(1..=3));
        let dynamic = [rng.u8(0..6) > 0, rng.u8(0..6) > 0];
        let moment = rng.i64(2..20);
        world.state.model.limits.clock_skew = Some(TimeDelta::seconds(5));
        let slowest = Duration::from_millis(world.weather.slowest_ms);
        world.changing = Some(Changing::new(slowest));
        let moment = world.clock() / 1000 + moment;
        let world = Arc::new(Mutex::new(world));
        let run = Self {
            hosts: [Host::new(&world), Host::new(&world)],
            world,
            files: Mutex::default(),
            dynamic,
            moment,
            lease,
            processes: AtomicU32::new(0),
            start: now(),
        };
        for host in 0..2 {
            run.edit(host);
        }
        run
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn outcome(&self) -> Outcome {
        let world = self.world();
        Outcome {
            broken: world.broken.clone(),
            counts: world.counts.clone(),
            trace: world.trace.finish(),
        }
    }

    pub fn milliseconds(&self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.world().rng.u64(range))
    }

    fn odds(&self, one_in: u8) -> bool {
        self.world().rng.u8(0..one_in) == 0
    }

    pub fn is_quiet(&self) -> bool {
        now() >= self.start + TROUBLE
    }

    pub fn changes(&self) -> bool {
        now() < self.start + CHANGES
    }

    /// Checks that the leader has everything in force. Returns whether it could be checked.
    fn watch(&self) -> bool {
        let world = &mut *self.world();
        world.model();
        let Some(changing) = &mut world.changing else {
            return false;
        };
        let watched = changing.watch(&world.state.model, &world.state.courses);
        let calm = watched == Ok(true);
        if calm {
            world.count("looks at a leader in calm");
        }
        world.expect(watched.map(drop));
        calm
    }

    /// Somebody edits the files of a host.
    fn edit(&self, host: usize) -> Files {
        let world = &mut *self.world();
        let (all, hosts) = &mut *self.files.lock().unwrap();
        let versions = &mut world.changing.as_mut().unwrap().versions;
        hosts[host] = versions.edit(&mut world.rng, self.moment, all);
        hosts[host].clone()
    }

    /// Runs one process after the other on a host.
    async fn host(self: Arc<Self>, number: usize) {
        sleep(self.milliseconds(0..2_000)).await;
        loop {
            let mut death = now() + self.milliseconds(1..8_000);
            if self.odds(3) || death > self.start + TROUBLE {
                death = self.start + STOP;
            }
            self.process(number, death).await;
            if now() >= self.start + END {
                break;
            }
            sleep(self.milliseconds(0..4_000)).await;
            if self.odds(2) {
                self.edit(number);
            }
        }
    }

    fn new_process(&self, host: usize, name: &str, view: View) -> Arc<Process> {
        let number = self.processes.fetch_add(1, Relaxed);
        let changing = &mut self.world().changing;
        changing.as_mut().unwrap().views.insert(number, view);
        Arc::new(Process {
            number,
            identity: Identity {
                holder: format!("{name}{host}:1"),
                token: number.to_string(),
            },
            host: Arc::clone(&self.hosts[host]),
            killed: CancellationToken::new(),
        })
    }

    fn engine(&self, process: &Arc<Process>, dynamic: bool) -> Engine<ModelStore> {
        let options = Options {
            interval: Duration::from_secs(5),
            dynamic: dynamic.then(Context::default),
            ..options(self.lease)
        };
        let clock = Arc::clone(&process.host);
        Engine::new(
            ModelStore::new(Arc::clone(process)),
            clock,
            options,
            Events::default(),
        )
    }

    fn schedule(&self, files: &Files) -> Schedule {
        let changing = &self.world().changing;
        changing.as_ref().unwrap().versions.schedule(files)
    }

    /// Runs a process until it crashes or until `death`.
    async fn process(&self, host: usize, death: Instant) {
        let (files, dynamic) = (
            self.files.lock().unwrap().1[host].clone(),
            self.dynamic[host],
        );
        let process = self.new_process(host, "host", View::new(files.clone(), false, dynamic));
        let ((commands, requests), stop) = (Commands::new(), CancellationToken::new());
        let next = Arc::new(Mutex::new(None));
        let load: Load = {
            let next = Arc::clone(&next);
            Arc::new(move || {
                let next: Option<Schedule> = next.lock().unwrap().clone();
                next.ok_or_else(|| {
                    let source = Source::new("a.toml", "this is no schedule");
                    config::parse(&[source], &Context::default()).unwrap_err()
                })
            })
        };
        let engine = self.engine(&process, dynamic);
        let run = engine.run(self.schedule(&files), load, requests, stop.clone());
        let mut engine = Box::pin(run);
        tokio::select! {
            biased;
            () = process.killed.cancelled() => {}
            () = &mut engine => {}
            () = sleep_until(death) => {}
            () = self.reload(host, process.number, &commands, &next) => {}
        }
        self.disturb(self.lease + Duration::from_secs(2));
        if !process.killed.is_cancelled() && self.world().rng.bool() {
            self.world().count("clean stops");
            stop.cancel();
            let _ = timeout(Duration::from_secs(1), engine).await;
        }
    }

    fn disturb(&self, length: Duration) {
        let changing = &mut self.world().changing;
        changing.as_mut().unwrap().disturb(length);
    }

    /// Reloads the files from time to time, edited or with an error.
    async fn reload(
        &self,
        host: usize,
        process: u32,
        commands: &Commands,
        next: &Mutex<Option<Schedule>>,
    ) {
        loop {
            sleep(self.milliseconds(500..9_000)).await;
            if !self.changes() {
                return std::future::pending().await;
            }
            // The thread that reads wakes the engine when nothing else runs, so that the run can be repeated.
            for _ in 0..50 {
                yield_now().await;
            }
            self.world().count("reloads");
            let schedule = if self.odds(5) {
                None
            } else {
                let files = self.edit(host);
                let schedule = self.schedule(&files);
                let changing = &mut self.world().changing;
                let views = &mut changing.as_mut().unwrap().views;
                views.get_mut(&process).unwrap().load(files);
                Some(schedule)
            };
            *next.lock().unwrap() = schedule;
            commands.request_reload();
        }
    }

    /// Runs `--once` from time to time, with one entry of the files or with dynamic entries only.
    async fn single_runs(self: Arc<Self>) {
        while self.changes() {
            sleep(self.milliseconds(1..6_000)).await;
            let mut files = self.files.lock().unwrap().0.clone();
            let one = self.world().rng.usize(0..=files.len());
            let one = files.keys().nth(one).cloned();
            files.retain(|name, _| Some(name) == one.as_ref());
            let (host, dynamic) = (usize::from(self.odds(2)), self.odds(3));
            let process = self.new_process(host, "once", View::new(files.clone(), true, dynamic));
            let schedule = self.schedule(&files);
            let death = self.milliseconds(1..20_000);
            let run = self.engine(&process, dynamic);
            let run = run.run_once(&schedule, CancellationToken::new());
            tokio::select! {
                biased;
                () = process.killed.cancelled() => {}
                done = run => if done.is_ok() {
                    self.world().count("runs with --once");
                },
                () = sleep(death) => {}
            }
            self.disturb(self.lease + Duration::from_secs(2));
        }
    }
}

//! Everything between a scheduler and the modelled Redis: delays, lost requests, lost replies,
//! requests that arrive when their sender is dead, crashes, outages, failovers.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use rescue_scheduler::{
    clock::Clock,
    store::{Identity, StoreError},
};
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    laws::Laws,
    model::{Change, Model},
};

/// As long as the real store waits for a reply.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often what happened, for people to see that it did.
pub type Counts = BTreeMap<&'static str, u64>;

/// How calls fare: the odds of each misfortune, and the longest delay of a message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    pub lost: f64,
    pub late: f64,
    pub crash: f64,
    pub slowest_ms: u64,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mishap {
    CrashBefore,
    RequestLost,
    ReplyLost,
    CrashAfter,
}

/// How one call fares.
#[derive(Debug, Clone, Copy)]
struct Fate {
    there: Duration,
    back: Duration,
    mishap: Option<Mishap>,
    /// Else the request arrives though its sender is dead, or gave up.
    dies_with_sender: bool,
    /// That something is lost, for the connection breaks; else after a while.
    noticed_at_once: bool,
}

/// What a failover to a replica that lags behind takes back.
#[derive(Debug, Clone)]
pub struct State {
    pub model: Model,
    pub laws: Laws,
}

/// All that the simulated hosts share.
pub struct World {
    pub state: State,
    pub rng: fastrand::Rng,
    pub weather: Weather,
    /// Redis is not there until then.
    pub down_until: Instant,
    /// How often it was replaced, which breaks all connections.
    pub failovers: u32,
    /// How often it lost all its data.
    pub forgotten: u32,
    /// A clock was far ahead once.
    pub jumped: bool,
    pub counts: Counts,
    /// The first law that was broken.
    pub broken: Option<String>,
    /// Of all that was applied.
    pub trace: DefaultHasher,
    start: Instant,
    /// The server's clock at the start, milliseconds.
    epoch: i64,
    /// Requests on their way; they outlive their sender.
    in_flight: JoinSet<()>,
}

impl World {
    pub fn new(seed: u64, laws: Laws) -> Self {
        let model = Model::default();
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            state: State { model, laws },
            weather: Weather::default(),
            down_until: now(),
            failovers: 0,
            forgotten: 0,
            jumped: false,
            counts: Counts::default(),
            broken: None,
            trace: DefaultHasher::new(),
            start: now(),
            epoch: 1_800_000_000_000 + rng.i64(0..120_000),
            in_flight: JoinSet::new(),
            rng,
        }
    }

    /// The server's clock, milliseconds.
    pub fn clock(&self) -> i64 {
        self.epoch + i64::try_from((now() - self.start).as_millis()).unwrap()
    }

    /// What tells apart servers, and one server before and after it lost its data.
    fn server(&self) -> (u32, u32) {
        (self.failovers, self.forgotten)
    }

    /// The model as it is now, for one atomic step.
    pub fn model(&mut self) -> &mut Model {
        self.state.model.now = self.clock();
        &mut self.state.model
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Takes note of the first law that is broken.
    pub fn expect(&mut self, judged: Result<(), String>) {
        self.broken = self.broken.take().or(judged.err());
    }

    /// Redis loses all its data; with a restart, which breaks all connections, or without.
    pub fn forget(&mut self, restart: bool) {
        let now = self.clock();
        self.model().flush();
        self.state.laws.forget(now);
        self.forgotten += 1;
        self.failovers += u32::from(restart);
        self.count("data losses");
    }

    fn odds(&mut self, odds: f64) -> bool {
        self.rng.f64() < odds
    }

    fn draw_fate(&mut self) -> Fate {
        let weather = self.weather;
        self.count("calls");
        let mut delay = || Duration::from_millis(self.rng.u64(0..=weather.slowest_ms));
        let (mut there, back) = (delay(), delay());
        let mishap = if self.odds(weather.crash) {
            self.count("crashes at a call");
            self.rng.choice([Mishap::CrashBefore, Mishap::CrashAfter])
        } else if self.odds(weather.lost) {
            let lost = self.rng.choice([Mishap::RequestLost, Mishap::ReplyLost]);
            let reply = lost == Some(Mishap::ReplyLost);
            self.count(if reply {
                "lost replies"
            } else {
                "lost requests"
            });
            lost
        } else {
            None
        };
        if self.odds(weather.late) {
            there += Duration::from_millis(self.rng.u64(0..10_000));
            self.count("late requests");
        }
        Fate {
            there,
            back,
            mishap,
            dies_with_sender: self.rng.bool(),
            noticed_at_once: self.rng.bool(),
        }
    }

    /// Holds what the model did for `process` against the laws.
    fn judge(&mut self, process: &Process) {
        (self.clock(), process.number).hash(&mut self.trace);
        let holder = self.state.model.holder().map(str::to_owned);
        for change in std::mem::take(&mut self.state.model.changes) {
            change.hash(&mut self.trace);
            let now = self.clock();
            let judged = self.state.laws.judge(&change, now);
            self.expect(judged);
            if holder.as_ref() != Some(&process.identity.holder) {
                self.expect(Err(format!("{change:?} without the lock ({holder:?})")));
            }
            self.count(match change {
                Change::Fired(_) => "fires",
                Change::Skipped(..) => "skips",
                Change::Moved { .. } => "moves",
                Change::Seen { .. } => "first sights",
            });
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clocks of the simulation start here"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// A computer: its clock, and whether its processes are suspended.
pub struct Host {
    pub world: Arc<Mutex<World>>,
    /// How far its clock is ahead of the server's, milliseconds.
    pub ahead: AtomicI64,
    pub frozen_until: Mutex<Instant>,
}

impl Host {
    pub fn new(world: &Arc<Mutex<World>>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            ahead: AtomicI64::new(0),
            frozen_until: Mutex::new(now()),
        })
    }
}

impl Clock for Host {
    fn now(&self) -> DateTime<Utc> {
        let server = self.world.lock().unwrap().clock();
        DateTime::from_timestamp_millis(server + self.ahead.load(Relaxed)).unwrap()
    }

    fn monotonic(&self) -> std::time::Instant {
        now().into_std()
    }
}

/// One process of a scheduler.
pub struct Process {
    pub number: u32,
    pub identity: Identity,
    pub host: Arc<Host>,
    /// Its end.
    pub killed: CancellationToken,
}

impl Process {
    fn world(&self) -> MutexGuard<'_, World> {
        self.host.world.lock().unwrap()
    }

    async fn crash(&self) {
        self.killed.cancel();
        std::future::pending::<()>().await;
    }

    /// A suspended process does nothing.
    async fn thaw(&self) {
        let until = *self.host.frozen_until.lock().unwrap();
        if until > now() {
            sleep_until(until).await;
        }
    }

    /// The script at its server. `None`: it is not there, not the same any more, or has lost its data, and with
    /// it what was on its way.
    fn apply<T>(&self, server: (u32, u32), script: impl FnOnce(&mut Model) -> T) -> Option<T> {
        let mut world = self.world();
        if now() < world.down_until || world.server() != server {
            return None;
        }
        let reply = script(world.model());
        world.judge(self);
        Some(reply)
    }
}

/// The store of one loop of a process, with a connection of its own.
pub struct ModelStore {
    pub process: Arc<Process>,
    /// The failovers that the connection has seen.
    seen: AtomicU32,
    /// The last time for which it asked what is due, milliseconds.
    pub asked_at: AtomicI64,
    /// The same in seconds, or its clock if that was earlier.
    pub asked_for: AtomicI64,
}

impl ModelStore {
    pub fn new(process: Arc<Process>) -> Self {
        let seen = AtomicU32::new(process.world().failovers);
        Self {
            process,
            seen,
            asked_at: AtomicI64::new(0),
            asked_for: AtomicI64::new(0),
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.process.world()
    }

    /// One request and its reply, with all that may go wrong.
    pub async fn call<T: Send + 'static>(
        &self,
        script: impl FnOnce(&mut Model) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.process.thaw().await;
        let server = self.world().server();
        if self.seen.swap(server.0, Relaxed) != server.0 {
            return Err(unavailable());
        }
        let fate = self.world().draw_fate();
        match fate.mishap {
            Some(Mishap::CrashBefore) => self.process.crash().await,
            Some(Mishap::RequestLost) => return self.no_reply(fate).await,
            _ => {}
        }
        let process = Arc::clone(&self.process);
        let request = async move {
            delay(fate.there).await;
            process.apply(server, script)
        };
        let request = async {
            if fate.dies_with_sender {
                return request.await;
            }
            let (answer, answered) = oneshot::channel();
            let request = async { drop(answer.send(request.await)) };
            self.world().in_flight.spawn(request);
            answered.await.ok().flatten()
        };
        let reply = timeout(RESPONSE_TIMEOUT, request).await.ok().flatten();
        match fate.mishap {
            Some(Mishap::CrashAfter) => self.process.crash().await,
            Some(Mishap::ReplyLost) => return self.no_reply(fate).await,
            _ => {}
        }
        delay(fate.back).await;
        self.process.thaw().await;
        reply.ok_or_else(unavailable)
    }

    async fn no_reply<T>(&self, fate: Fate) -> Result<T, StoreError> {
        if !fate.noticed_at_once {
            sleep(RESPONSE_TIMEOUT).await;
        }
        self.process.thaw().await;
        Err(unavailable())
    }
}

/// A sleep of no time at all would take a millisecond of real time.
async fn delay(length: Duration) {
    if !length.is_zero() {
        sleep(length).await;
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable {
        server: "model".to_owned(),
        reason: "nothing came back".to_owned(),
        dropped: false,
    }
}

//! State that simulated hosts share: Redis, randomness, trouble, and the laws.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash},
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use super::{
    changing::{Changing, Courses},
    laws::Laws,
    model::{Change, Model},
    network::Process,
};

/// Timeout of the real store for a reply.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often things happened, for people to see that they did.
pub type Counts = BTreeMap<&'static str, u64>;

/// Chances of each kind of trouble for a call, and the longest delay of a message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    pub lost: f64,
    pub late: f64,
    pub crash: f64,
    pub slowest_ms: u64,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mishap {
    CrashBefore,
    RequestLost,
    ReplyLost,
    CrashAfter,
}

/// What happens to one call.
#[derive(Debug, Clone, Copy)]
pub struct Fate {
    pub there: Duration,
    pub back: Duration,
    pub mishap: Option<Mishap>,
    /// Whether the request is lost if its sender is killed or gives up. Otherwise it still arrives.
    pub dies_with_sender: bool,
    /// Whether the sender notices a loss at once, because the connection breaks. Otherwise it notices after the
    /// timeout.
    pub noticed_at_once: bool,
}

/// State that a failover to a lagging replica reverts.
#[derive(Debug, Clone)]
pub struct State {
    pub model: Model,
    pub laws: Laws,
    /// Laws for runs in which schedules change, in place of `laws`.
    pub courses: Courses,
}

/// State that all simulated hosts share.
pub struct World {
    pub state: State,
    pub rng: fastrand::Rng,
    pub weather: Weather,
    /// Redis is down until then.
    pub down_until: Instant,
    /// How often Redis was replaced, which breaks all connections.
    pub failovers: u32,
    /// How often requests on their way to Redis were lost, while connections stayed open.
    cuts: u32,
    /// Whether a clock was far ahead once.
    pub jumped: bool,
    pub counts: Counts,
    /// What each process knows, in runs in which schedules change.
    pub changing: Option<Changing>,
    /// The first violation of a law.
    pub broken: Option<String>,
    /// Hash of everything that was applied.
    pub trace: DefaultHasher,
    start: Instant,
    /// The server's clock at the start, in milliseconds.
    epoch: i64,
    /// Requests on their way, which may outlive their sender.
    pub in_flight: JoinSet<()>,
}

impl World {
    pub fn new(seed: u64, laws: Laws) -> Self {
        let model = Model::default();
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            state: State {
                model,
                laws,
                courses: Courses::default(),
            },
            changing: None,
            weather: Weather::default(),
            down_until: now(),
            failovers: 0,
            cuts: 0,
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

    /// Returns the server's clock, in milliseconds.
    pub fn clock(&self) -> i64 {
        self.epoch + i64::try_from((now() - self.start).as_millis()).unwrap()
    }

    /// Advances all clocks by this many milliseconds, as if everything had been suspended. No request is on its way
    /// for that long.
    pub fn pass_by(&mut self, milliseconds: i64) {
        self.epoch += milliseconds;
        self.cuts += 1;
        self.count("hours that pass at once");
    }

    /// Identifies a server, before or after it lost its data.
    pub fn server(&self) -> (u32, u32) {
        (self.failovers, self.cuts)
    }

    /// Returns the model at the current time, for one atomic step.
    pub fn model(&mut self) -> &mut Model {
        self.state.model.now = self.clock();
        &mut self.state.model
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Records the first violation of a law.
    pub fn expect(&mut self, judged: Result<(), String>) {
        self.broken = self.broken.take().or(judged.err());
    }

    /// Redis loses all its data, with a restart that breaks all connections, or without one.
    pub fn forget(&mut self, restart: bool) {
        let now = self.clock();
        self.model().flush();
        self.state.laws.forget(now);
        self.cuts += 1;
        self.failovers += u32::from(restart);
        self.count("data losses");
    }

    /// Draws what happens to a call.
    pub fn draw_fate(&mut self, rng: &mut fastrand::Rng) -> Fate {
        let weather = self.weather;
        self.count("calls");
        let odds = |rng: &mut fastrand::Rng, odds: f64| rng.f64() < odds;
        let mut delay = || Duration::from_millis(rng.u64(0..=weather.slowest_ms));
        let (mut there, back) = (delay(), delay());
        let mishap = if odds(rng, weather.crash) {
            self.count("crashes at a call");
            rng.choice([Mishap::CrashBefore, Mishap::CrashAfter])
        } else if odds(rng, weather.lost) {
            let lost = rng.choice([Mishap::RequestLost, Mishap::ReplyLost]);
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
        let late = odds(rng, weather.late);
        if let Some(changing) = &mut self.changing
            && (late || mishap.is_some())
        {
            changing.disturb(2 * RESPONSE_TIMEOUT);
        }
        if late {
            there += Duration::from_millis(rng.u64(0..10_000));
            self.count("late requests");
        }
        Fate {
            there,
            back,
            mishap,
            dies_with_sender: rng.bool(),
            noticed_at_once: rng.bool(),
        }
    }

    /// Checks the changes that the model made for `process` against the laws.
    pub fn judge(&mut self, process: &Process) {
        (self.clock(), process.number).hash(&mut self.trace);
        let holder = self.state.model.holder().map(str::to_owned);
        for change in std::mem::take(&mut self.state.model.changes) {
            change.hash(&mut self.trace);
            let now = self.clock();
            let State { laws, courses, .. } = &mut self.state;
            let judged = match &self.changing {
                None => laws.judge(&change, now),
                Some(changing) => {
                    let leader = changing.leader.and_then(|it| changing.views.get(&it));
                    courses.judge(&change, now, &changing.versions, leader)
                }
            };
            self.expect(judged);
            if holder.as_ref() != Some(&process.identity.holder) {
                self.expect(Err(format!("{change:?} without the lock ({holder:?})")));
            }
            self.count(match change {
                Change::Fired(_) => "fires",
                Change::Skipped(..) => "skips",
                Change::Paused(_) => "paused fires",
                Change::Moved { .. } => "moves",
                Change::Seen { .. } => "first sights",
                Change::Left { .. } => "entries that left",
                Change::Returned { .. } => "entries that returned",
                Change::Forgotten { .. } => "entries forgotten",
                Change::Settled { .. } => "changes acknowledged",
            });
        }
        if let Some(changing) = &mut self.changing {
            changing.note_leader(&self.state.model);
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

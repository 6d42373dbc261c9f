//! All that simulated hosts share: Redis, chance, what goes wrong, and what is held against the laws.

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

/// As long as the real store waits for a reply.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

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
pub enum Mishap {
    CrashBefore,
    RequestLost,
    ReplyLost,
    CrashAfter,
}

/// How one call fares.
#[derive(Debug, Clone, Copy)]
pub struct Fate {
    pub there: Duration,
    pub back: Duration,
    pub mishap: Option<Mishap>,
    /// Else the request arrives though its sender is dead, or gave up.
    pub dies_with_sender: bool,
    /// That something is lost, for the connection breaks; else after a while.
    pub noticed_at_once: bool,
}

/// What a failover to a replica that lags behind takes back.
#[derive(Debug, Clone)]
pub struct State {
    pub model: Model,
    pub laws: Laws,
    /// In place of these laws where schedules change.
    pub courses: Courses,
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
    /// How often what was on its way to it was lost, while connections stayed.
    cuts: u32,
    /// A clock was far ahead once.
    pub jumped: bool,
    pub counts: Counts,
    /// Where schedules change: who knows what.
    pub changing: Option<Changing>,
    /// The first law that was broken.
    pub broken: Option<String>,
    /// Of all that was applied.
    pub trace: DefaultHasher,
    start: Instant,
    /// The server's clock at the start, milliseconds.
    epoch: i64,
    /// Requests on their way; they outlive their sender.
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

    /// The server's clock, milliseconds.
    pub fn clock(&self) -> i64 {
        self.epoch + i64::try_from((now() - self.start).as_millis()).unwrap()
    }

    /// All clocks go ahead by so many milliseconds, as if all had been suspended. No request is on its way for so
    /// long.
    pub fn pass_by(&mut self, milliseconds: i64) {
        self.epoch += milliseconds;
        self.cuts += 1;
        self.count("hours that pass at once");
    }

    /// What tells apart servers, and one server before and after it lost its data.
    pub fn server(&self) -> (u32, u32) {
        (self.failovers, self.cuts)
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
        self.cuts += 1;
        self.failovers += u32::from(restart);
        self.count("data losses");
    }

    /// What chance has for a call.
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

    /// Holds what the model did for `process` against the laws.
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

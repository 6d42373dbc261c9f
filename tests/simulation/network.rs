//! The network between a scheduler and the model of Redis: delays, lost requests, lost replies, requests that
//! arrive after their sender was killed, crashes, outages, failovers.

use std::{
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
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    model::Model,
    world::{Fate, Mishap, RESPONSE_TIMEOUT, World, now},
};

/// A host: its clock, and whether its processes are suspended.
pub struct Host {
    pub world: Arc<Mutex<World>>,
    /// How far its clock is ahead of the server's, in milliseconds.
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
    /// Cancelled when the process is killed.
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

    /// Waits while the process is suspended.
    async fn thaw(&self) {
        let until = *self.host.frozen_until.lock().unwrap();
        if until > now() {
            sleep_until(until).await;
        }
    }

    /// Runs a script on its server. Returns `None` if the server is down, was replaced, or lost its data together
    /// with the requests that were on their way.
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
    /// Each store has its own generator, because loops that wake at the same moment may run in either order.
    rng: Mutex<fastrand::Rng>,
    /// Number of failovers that the connection has seen.
    seen: AtomicU32,
    /// The time for which the process last asked what is due, in milliseconds.
    pub asked_at: AtomicI64,
    /// The same in seconds, or the process's clock at that time if it was earlier.
    pub asked_for: AtomicI64,
}

impl ModelStore {
    pub fn new(process: Arc<Process>) -> Self {
        let seen = AtomicU32::new(process.world().failovers);
        let rng = Mutex::new(process.world().rng.fork());
        Self {
            process,
            rng,
            seen,
            asked_at: AtomicI64::new(0),
            asked_for: AtomicI64::new(0),
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.process.world()
    }

    /// Sends a request and returns its reply, with everything that can go wrong.
    pub async fn call<T: Send + 'static>(
        &self,
        script: impl FnOnce(&mut Model) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.process.thaw().await;
        let server = self.world().server();
        if self.seen.swap(server.0, Relaxed) != server.0 {
            return Err(unavailable());
        }
        let fate = self.world().draw_fate(&mut self.rng.lock().unwrap());
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

/// A sleep of zero length would take a millisecond of real time.
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

//! What time it is: asked by the outermost loops only, and handed down as `now`.

use std::time::Instant;

use chrono::{DateTime, Utc};

/// Tells the time. The real one is [`SystemClock`]; a test brings its own.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, UTC. It may jump in either direction.
    fn now(&self) -> DateTime<Utc>;

    /// The monotonic clock, for lengths of time.
    fn monotonic(&self) -> Instant;
}

/// The clocks of this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[expect(
    clippy::disallowed_methods,
    reason = "this is the Clock that all others ask"
)]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// A wall clock that stands still, for `--once --at TIME`; its monotonic clock is the host's.
#[derive(Debug, Clone, Copy)]
pub struct StoppedClock(pub DateTime<Utc>);

impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    fn monotonic(&self) -> Instant {
        SystemClock.monotonic()
    }
}

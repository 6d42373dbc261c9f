//! What time it is: asked by the outermost loops only, and handed down as `now`.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// Tells the time. The real one is [`SystemClock`]; a test brings its own.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, UTC. It may jump in either direction.
    fn now(&self) -> DateTime<Utc>;

    /// The monotonic clock, for lengths of time.
    fn monotonic(&self) -> Instant;

    /// How long a thread may block at the end of a sleep so that it ends in time: as long as tokio's timer
    /// may be late. No simulated clock goes on while a thread blocks.
    fn longest_block(&self) -> Duration {
        Duration::ZERO
    }
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

    fn longest_block(&self) -> Duration {
        Duration::from_millis(3)
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

//! What time it is: asked by the outermost loops only, and handed down as `now`.

#[cfg(target_os = "linux")]
mod timer;

use std::{
    pin::Pin,
    sync::LazyLock,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

/// A sleep of a [`Clock`].
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells the time. The real one is [`SystemClock`]; a test brings its own.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, UTC. It may jump in either direction.
    fn now(&self) -> DateTime<Utc>;

    /// The monotonic clock, for lengths of time; that of a lease is one, so it goes on while the host is
    /// suspended, if the host has such a clock.
    fn monotonic(&self) -> Instant;

    /// Sleeps for `pause`, or lets others run once if that is zero. A test may let simulated time pass instead.
    fn sleep(&self, pause: Duration) -> Sleep {
        match pause {
            // The shortest sleep takes a millisecond.
            Duration::ZERO => Box::pin(tokio::task::yield_now()),
            _ => Box::pin(tokio::time::sleep(pause)),
        }
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
        let (origin, since_boot) = *ORIGIN;
        origin + since_boot_now().saturating_sub(since_boot)
    }

    #[cfg(target_os = "linux")]
    fn sleep(&self, pause: Duration) -> Sleep {
        match pause {
            Duration::ZERO => Box::pin(tokio::task::yield_now()),
            _ => Box::pin(timer::sleep(pause)),
        }
    }
}

/// A moment by both clocks: `Instant` cannot show the one that goes on during a suspension, so it is counted
/// from here.
#[expect(clippy::disallowed_methods, reason = "this is what the Clock shows")]
static ORIGIN: LazyLock<(Instant, Duration)> = LazyLock::new(|| (Instant::now(), since_boot_now()));

/// How long ago the host started. On Linux, `Instant` stops while the host is suspended, and this does not.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn since_boot_now() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    // Linux has had it since 2.6.39.
    time.map_or_else(|_| by_instant(), Duration::from)
}

/// Here `Instant` is all that there is; it may stop while the host is suspended.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn since_boot_now() -> Duration {
    by_instant()
}

/// The same by `Instant`, counted from the first call.
#[expect(clippy::disallowed_methods, reason = "this is what the Clock shows")]
fn by_instant() -> Duration {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    FIRST.elapsed()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel says of how long the host is up, with suspensions.
    #[cfg(target_os = "linux")]
    fn uptime() -> f64 {
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_monotonic_clock_counts_from_the_start_of_the_host_with_suspensions() {
        let since_boot = since_boot_now().as_secs_f64();
        assert!((uptime() - since_boot).abs() < 1.0, "{since_boot}");
        let start = SystemClock.monotonic();
        std::thread::sleep(Duration::from_millis(20));
        let elapsed = SystemClock.monotonic() - start;
        assert!(elapsed >= Duration::from_millis(20), "{elapsed:?}");
    }
}

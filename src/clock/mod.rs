//! The current time. Only the outermost loops read a clock; they pass the time down as `now`.

#[cfg(target_os = "linux")]
mod timer;

use std::{
    pin::Pin,
    sync::LazyLock,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

/// The future that [`Clock::sleep`] returns.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A source of the current time. The scheduler uses [`SystemClock`]; tests use their own.
pub trait Clock: Send + Sync + 'static {
    /// Returns the time of the wall clock, UTC. It may jump in either direction.
    fn now(&self) -> DateTime<Utc>;

    /// Returns the time of the monotonic clock, to measure durations.
    ///
    /// If the host has such a clock, it counts the time in which the host is suspended too: the lease in Redis
    /// expires during a suspension.
    fn monotonic(&self) -> Instant;

    /// Sleeps for `pause`, or only yields to other tasks if `pause` is zero. A test may advance simulated time instead.
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
    reason = "this is the Clock that the rest of the code asks"
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

/// The same moment as an `Instant` and as the time since boot.
///
/// An `Instant` cannot be made from the time since boot. The monotonic clock therefore adds the time since boot that
/// has passed since this moment to the `Instant` of this moment.
#[expect(
    clippy::disallowed_methods,
    reason = "the Clock itself reads the host's clock"
)]
static ORIGIN: LazyLock<(Instant, Duration)> = LazyLock::new(|| (Instant::now(), since_boot_now()));

/// Returns the time since the host started, including suspensions. On Linux, `Instant` does not count suspensions.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn since_boot_now() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    // Linux has this clock since 2.6.39, so the fallback is for other kernels.
    time.map_or_else(|_| by_instant(), Duration::from)
}

/// Returns the time since the first call. `Instant` is the only clock here; it may not count suspensions.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn since_boot_now() -> Duration {
    by_instant()
}

/// Returns the time since the first call of this function, by `Instant`.
#[expect(
    clippy::disallowed_methods,
    reason = "the Clock itself reads the host's clock"
)]
fn by_instant() -> Duration {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    FIRST.elapsed()
}

/// A wall clock that always shows the same time, for `--once --at TIME`. Its monotonic clock is the host's.
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

    /// Returns the host's uptime in seconds, including suspensions, as the kernel reports it.
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

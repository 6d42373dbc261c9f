//! Sleeps that end within microseconds of the requested time.
//!
//! Tokio's timer counts whole milliseconds and may be 3 ms late. A timer of the kernel (`timerfd`) is a file that
//! becomes readable within microseconds, and no thread has to wait for it.

use std::{io, os::fd::OwnedFd, time::Duration};

use nix::sys::{
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use tokio::io::{Interest, unix::AsyncFd};

/// Sleeps for `pause`. Uses tokio's timer if the process cannot open another file.
pub(super) async fn sleep(pause: Duration) {
    match timer(pause) {
        Ok(timer) if timer.readable().await.is_ok() => {}
        _ => tokio::time::sleep(pause).await,
    }
}

/// Returns a file that becomes readable after `pause`. `pause` must not be zero, because zero disarms the timer.
#[expect(
    deprecated,
    reason = "its replacement is unsafe, because a type may change its file; an OwnedFd never does"
)]
fn timer(pause: Duration) -> io::Result<AsyncFd<OwnedFd>> {
    let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
    let once = Expiration::OneShot(TimeSpec::from_duration(pause));
    timer.set(once, TimerSetTimeFlags::empty())?;
    AsyncFd::with_interest(timer.into(), Interest::READABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    #[tokio::test]
    async fn no_sleep_ends_early() {
        for micros in [1, 50, 900, 1_500, 20_000] {
            let (pause, started) = (Duration::from_micros(micros), SystemClock.monotonic());
            sleep(pause).await;
            assert!(SystemClock.monotonic() - started >= pause, "{pause:?}");
        }
    }
}

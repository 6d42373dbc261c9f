//! Signals → wishes, with the meanings that resque-scheduler gives them.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::engine::Wishes;

/// All signals that this process listens to, instead of ending by them.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    /// Begins to listen. To be called within a tokio runtime.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Turns signals into wishes, for ever: TERM, INT and QUIT cancel `stop`; HUP and USR2 wish for
    /// a reload, USR1 for a report.
    pub async fn listen(mut self, wishes: &Wishes, stop: CancellationToken) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => stop.cancel(),
                _ = self.interrupt.recv() => stop.cancel(),
                _ = self.quit.recv() => stop.cancel(),
                _ = self.hangup.recv() => wishes.reload.notify_one(),
                _ = self.user2.recv() => wishes.reload.notify_one(),
                _ = self.user1.recv() => wishes.report.notify_one(),
            }
        }
    }
}

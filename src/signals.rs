//! Turns signals into commands. The signals mean the same as in resque-scheduler.

use std::{io, process, thread, time::Duration};

use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::engine::Commands;

/// Longest time that a stop may take. Then the process ends itself, which is as safe as a kill (docs/design.md,
/// law 8).
const STOP_LIMIT: Duration = Duration::from_millis(900);

/// The signals that this process handles. By default, each of them would end it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
}

/// Starts a thread that handles signals.
///
/// HUP and USR2 request a reload, USR1 requests a status. TERM, INT and QUIT cancel `stop`; if the process still
/// runs 900 ms later, the thread ends it with `exit_code`. A thread of its own handles a signal even if all others
/// are busy.
///
/// # Errors
/// If the system cannot start the thread or register a handler.
pub fn listen(commands: &Commands, stop: &CancellationToken, exit_code: i32) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let signals = runtime.block_on(async { Signals::new() })?;
    let (commands, stop) = (commands.clone(), stop.clone());
    let thread = thread::Builder::new().name("signals".to_owned());
    thread.spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                () = signals.pass_on(&commands, &stop) => {}
                () = async { stop.cancelled().await; sleep(STOP_LIMIT).await } => {}
            }
        });
        process::exit(exit_code);
    })?;
    Ok(())
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Turns signals into commands. Never returns.
    async fn pass_on(mut self, commands: &Commands, stop: &CancellationToken) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => stop.cancel(),
                _ = self.interrupt.recv() => stop.cancel(),
                _ = self.quit.recv() => stop.cancel(),
                _ = self.hangup.recv() => commands.request_reload(),
                _ = self.user2.recv() => commands.request_reload(),
                _ = self.user1.recv() => commands.request_status(),
            }
        }
    }
}

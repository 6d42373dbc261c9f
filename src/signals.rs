//! Signals → commands, with the meanings that resque-scheduler gives them.

use std::{io, process, thread, time::Duration};

use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::engine::Commands;

/// How long a stop may take. After that the process ends as it is, which is safe: laws 1 and 2 of
/// docs/design.md hold whenever it is killed.
const STOP_LIMIT: Duration = Duration::from_millis(900);

/// All signals that this process listens to, instead of ending by them.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
}

/// Begins to listen, on a thread of its own, so that nothing that keeps other threads busy delays a signal. HUP
/// and USR2 ask for a reload, USR1 for a status. TERM, INT and QUIT cancel `stop`; if the process still runs
/// a second later, they end it with this exit code.
///
/// # Errors
/// If the system refuses.
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

    /// Turns signals into commands, for ever.
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

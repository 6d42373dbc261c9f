//! Signals → wishes, with the meanings that resque-scheduler gives them.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::engine::Command;

/// Listens for ever: TERM, INT and QUIT cancel `stop`; HUP and USR2 ask for a reload, USR1 for a
/// report. A wish that is still waiting is not sent twice.
///
/// # Errors
/// Where the signals can't be listened to.
pub async fn listen(commands: mpsc::Sender<Command>, stop: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut user1 = signal(SignalKind::user_defined1())?;
    let mut user2 = signal(SignalKind::user_defined2())?;
    loop {
        let command = tokio::select! {
            Some(()) = terminate.recv() => None,
            Some(()) = interrupt.recv() => None,
            Some(()) = quit.recv() => None,
            Some(()) = hangup.recv() => Some(Command::Reload),
            Some(()) = user2.recv() => Some(Command::Reload),
            Some(()) = user1.recv() => Some(Command::Report),
        };
        match command {
            // Full: as many wishes are on their way already.
            Some(command) => _ = commands.try_send(command),
            None => stop.cancel(),
        }
    }
}

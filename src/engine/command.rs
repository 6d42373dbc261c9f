//! Requests to a running engine, from signals or from other code of this program.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::{config::Mistakes, core::schedule::Changes, engine::snapshot::Snapshot};

/// Maximum number of waiting requests of each kind. All waiting requests get the same answer.
const WAITING: usize = 16;

/// Where to send the answer. `None` if nobody waits for it.
pub(super) type Reply<T> = Option<oneshot::Sender<T>>;

/// Outcome of a reload.
#[derive(Debug, Clone)]
pub enum ReloadOutcome {
    /// The new schedule is in force, with these changes.
    Reloaded(Changes),
    /// The new schedule has errors. The previous schedule stays in force.
    Rejected(Arc<Mistakes>),
    /// The new schedule could not be read in time. The previous schedule stays in force.
    GivenUp,
    /// Too many earlier reloads still hang. The previous schedule stays in force.
    Impossible,
}

/// Sends requests to a running engine. Clones send to the same engine.
#[derive(Debug, Clone)]
pub struct Commands {
    reload: mpsc::Sender<Reply<ReloadOutcome>>,
    status: mpsc::Sender<Reply<Snapshot>>,
}

/// Receiving end of the requests, for the engine.
#[derive(Debug)]
pub struct Requests {
    pub(super) reload: mpsc::Receiver<Reply<ReloadOutcome>>,
    pub(super) status: mpsc::Receiver<Reply<Snapshot>>,
}

impl Commands {
    /// Returns the sending and the receiving end.
    pub fn new() -> (Self, Requests) {
        let (reload, reloads) = mpsc::channel(WAITING);
        let (status, statuses) = mpsc::channel(WAITING);
        let requests = Requests {
            reload: reloads,
            status: statuses,
        };
        (Self { reload, status }, requests)
    }

    /// Requests a reload of the schedule files and returns at once.
    pub fn request_reload(&self) {
        // If the channel is full, the requests that already wait cause the same reload.
        drop(self.reload.try_send(None));
    }

    /// Requests a log of the status of this process and of its entries, and returns at once.
    pub fn request_status(&self) {
        drop(self.status.try_send(None));
    }

    /// Reloads the schedule files and waits for the outcome. Returns `None` if the engine has stopped.
    pub async fn reload(&self) -> Option<ReloadOutcome> {
        ask(&self.reload).await
    }

    /// Logs the status of this process and of its entries. Returns the status of the process, or `None` if the
    /// engine has stopped.
    pub async fn status(&self) -> Option<Snapshot> {
        ask(&self.status).await
    }
}

async fn ask<T>(of: &mpsc::Sender<Reply<T>>) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    of.send(Some(reply)).await.ok()?;
    answer.await.ok()
}

/// Waits for a request and takes all other waiting requests with it, because they get the same answer. Returns
/// where to send the answer. Waits forever if all senders are gone.
pub(super) async fn all<T>(of: &mut mpsc::Receiver<Reply<T>>) -> Vec<oneshot::Sender<T>> {
    let Some(first) = of.recv().await else {
        return std::future::pending().await;
    };
    let mut replies: Vec<_> = first.into_iter().collect();
    while let Ok(reply) = of.try_recv() {
        replies.extend(reply);
    }
    replies
}

/// Sends the same answer to all of them.
pub(super) fn answer<T: Clone>(replies: Vec<oneshot::Sender<T>>, with: &T) {
    for reply in replies {
        // The requester may have stopped waiting.
        drop(reply.send(with.clone()));
    }
}

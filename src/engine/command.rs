//! What people and programs ask of a running engine. Signals are one sender of it.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::{config::Mistakes, core::schedule::Changes, engine::snapshot::Snapshot};

/// How many requests of a kind may wait. All that wait are granted together.
const WAITING: usize = 16;

/// Where an answer goes; `None`: nobody waits for it.
pub(super) type Reply<T> = Option<oneshot::Sender<T>>;

/// What came of a reload.
#[derive(Debug, Clone)]
pub enum ReloadOutcome {
    /// The schedule was put in force, with these changes.
    Reloaded(Changes),
    /// It has mistakes. The schedule in force stays.
    Rejected(Arc<Mistakes>),
    /// It could not be read in time. The schedule in force stays.
    GivenUp,
    /// Too many earlier reloads still hang. The schedule in force stays.
    Impossible,
}

/// Asks a running engine for something. Clones ask the same one.
#[derive(Debug, Clone)]
pub struct Commands {
    reload: mpsc::Sender<Reply<ReloadOutcome>>,
    status: mpsc::Sender<Reply<Snapshot>>,
}

/// What an engine is asked for.
#[derive(Debug)]
pub struct Requests {
    pub(super) reload: mpsc::Receiver<Reply<ReloadOutcome>>,
    pub(super) status: mpsc::Receiver<Reply<Snapshot>>,
}

impl Commands {
    /// Returns both ends: who asks, and what the engine is to be given.
    pub fn new() -> (Self, Requests) {
        let (reload, reloads) = mpsc::channel(WAITING);
        let (status, statuses) = mpsc::channel(WAITING);
        let requests = Requests {
            reload: reloads,
            status: statuses,
        };
        (Self { reload, status }, requests)
    }

    /// Asks that the schedule files are read again, and does not wait.
    pub fn request_reload(&self) {
        // If it can't wait any more, others wait for the same.
        drop(self.reload.try_send(None));
    }

    /// Asks that this process reports how it is and where its entries stand, and does not wait.
    pub fn request_status(&self) {
        drop(self.status.try_send(None));
    }

    /// Has the schedule files read again. `None`: the engine has stopped.
    pub async fn reload(&self) -> Option<ReloadOutcome> {
        ask(&self.reload).await
    }

    /// Has this process report how it is and where its entries stand. `None`: the engine has stopped.
    pub async fn status(&self) -> Option<Snapshot> {
        ask(&self.status).await
    }
}

async fn ask<T>(of: &mpsc::Sender<Reply<T>>) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    of.send(Some(reply)).await.ok()?;
    answer.await.ok()
}

/// Waits for a request, and takes all that wait with it: the answer is the same. Returns where it is to go; for ever
/// if nobody can ask any more.
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

/// Gives all of them the same answer.
pub(super) fn answer<T: Clone>(replies: Vec<oneshot::Sender<T>>, with: &T) {
    for reply in replies {
        // Who has gone needs none.
        drop(reply.send(with.clone()));
    }
}

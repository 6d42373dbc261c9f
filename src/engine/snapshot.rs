//! The state of this process, as its loops publish it after every pass.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use crate::core::term::Term;

/// State of this process. It has nothing that can be read from Redis, such as the history of an entry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The current term, if this process is the leader.
    pub term: Option<Term>,
    /// The leader, `hostname:pid`, if another process leads.
    pub leader: Option<String>,
    /// Minimum by which this host's clock was ahead of Redis's at the last comparison. Negative if it was behind.
    pub skew: Option<TimeDelta>,
    /// Summary of the entries in force, if this process is the leader.
    pub entries: Option<EntriesSnapshot>,
    /// Number of quarantine records, if this process is the leader and the number is known.
    pub quarantined: Option<usize>,
    /// Each problem as text. Empty if there are none.
    pub problems: Vec<String>,
}

/// Summary of the entries in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntriesSnapshot {
    /// Number of entries.
    pub total: usize,
    /// Number of entries whose last fire was paused.
    pub paused: usize,
    /// Number of entries with a fire that their queue rejects, or that is too early by Redis's clock.
    pub rejected: usize,
    /// Next time at which an entry is due, and the name of the entry.
    pub next: Option<(DateTime<Utc>, String)>,
}

/// Sending end of the snapshot, shared by the loops and by all clones.
#[derive(Debug, Clone)]
pub(super) struct Snapshots(Arc<watch::Sender<Snapshot>>);

impl Default for Snapshots {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }
}

impl Snapshots {
    /// Returns a receiver of the current snapshot.
    pub(super) fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.0.subscribe()
    }

    /// Changes the snapshot and notifies the receivers if it is different now.
    pub(super) fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        self.0.send_if_modified(|snapshot| {
            let before = snapshot.clone();
            change(snapshot);
            *snapshot != before
        });
    }
}

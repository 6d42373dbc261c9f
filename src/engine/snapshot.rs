//! What this process knows of itself, as its loops publish it after each pass.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use crate::core::term::Term;

/// What this process knows of itself. What Redis knows better, such as the history of an entry, is not here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The term that it leads in.
    pub term: Option<Term>,
    /// Who leads, `hostname:pid`, if another process does.
    pub leader: Option<String>,
    /// How far this host's clock was ahead of Redis' clock when they were last compared, at least.
    pub skew: Option<TimeDelta>,
    /// Its entries, while it leads.
    pub entries: Option<EntriesSnapshot>,
    /// How many records are in quarantine, if it leads and that is known.
    pub quarantined: Option<usize>,
    /// Each problem in words; empty if all is well.
    pub problems: Vec<String>,
}

/// The entries in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntriesSnapshot {
    /// How many they are.
    pub total: usize,
    /// How many had a last fire that was paused.
    pub paused: usize,
    /// How many have a fire that Redis refuses.
    pub rejected: usize,
    /// When the next one fires, and its name.
    pub next: Option<(DateTime<Utc>, String)>,
}

/// Where the loops publish. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Snapshots(Arc<watch::Sender<Snapshot>>);

impl Default for Snapshots {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }
}

impl Snapshots {
    /// Returns where the newest one is to be seen.
    pub(super) fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.0.subscribe()
    }

    /// Publishes a change, if it is one.
    pub(super) fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        self.0.send_if_modified(|snapshot| {
            let before = snapshot.clone();
            change(snapshot);
            *snapshot != before
        });
    }
}

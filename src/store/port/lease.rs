//! The lease: requests for it, and answers.

use std::time::Duration;

use crate::store::console::schedulers::Scheduler;

/// The status that a process publishes, to show that it is alive.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat<'a> {
    /// The status.
    pub scheduler: &'a Scheduler,
    /// How long Redis keeps it.
    pub stays: Duration,
}

impl Heartbeat<'_> {
    /// Returns the status as Redis stores it.
    pub(in crate::store) fn json(&self) -> String {
        // Cannot fail: it has no maps whose keys are not strings.
        serde_json::to_string(self.scheduler).unwrap_or_default()
    }
}

/// What identifies this process in the leader's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The lock's value, `hostname:pid`, as resque-scheduler writes it.
    pub holder: String,
    /// A text that no other process has ever had.
    pub token: String,
}

/// Answer to a request for the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// We held it and still do, for its whole length from now.
    Renewed,
    /// We hold it now, for its whole length. We did not before, so another leader may have acted in between.
    Taken,
    /// Another scheduler holds it.
    HeldBy {
        /// Its `hostname:pid`.
        holder: String,
        /// Time until its lease expires; `None`: it never does.
        remaining: Option<Duration>,
    },
}

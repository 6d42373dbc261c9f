//! The lease: who asks for it, and who holds it.

use std::time::Duration;

use crate::store::console::schedulers::Scheduler;

/// A sign that a process is there.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat<'a> {
    /// What it says of itself.
    pub scheduler: &'a Scheduler,
    /// For how long Redis keeps that.
    pub stays: Duration,
}

impl Heartbeat<'_> {
    /// What it says, as Redis keeps it.
    pub(in crate::store) fn json(&self) -> String {
        // It has no map whose keys are not texts, which is all that could fail.
        serde_json::to_string(self.scheduler).unwrap_or_default()
    }
}

/// Who we are in the leader's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The lock's value, `hostname:pid`, as resque-scheduler writes it.
    pub holder: String,
    /// Different for each process that ever was.
    pub token: String,
}

/// The answer to a try for the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// Ours as before, for its whole length from now.
    Renewed,
    /// Ours now, for its whole length; it was not before, so that others may have acted.
    Taken,
    /// Another scheduler's.
    HeldBy {
        /// Its `hostname:pid`.
        holder: String,
        /// How long its lease has left; `None`: for ever.
        remaining: Option<Duration>,
    },
}

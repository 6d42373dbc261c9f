//! The lease: who asks for it, and who holds it.

use std::time::Duration;

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

//! The loops: leadership, recurring, delayed, publishing. No other code waits.
//!
//! Each loop calls one function for a single pass, which takes `now`, and sleeps in between. Sleeps are short,
//! because the clock may jump and hosts may be suspended; every pass reads the clock again.
//!
//! The files, in the order in which to read them:
//!
//! ```text
//! run          Engine: starts, watches and stops the loops
//! once         `--once`: enqueues everything that is due now and returns
//! tick         outcome of a pass
//! context      what a loop gets from the engine: its term, its schedule, its sleep
//! leadership   the loop that takes the lease, renews it, and passes on the term
//! host_clock   compares this host's clock with Redis's
//! presence     the heartbeat of this process in Redis
//! recurring/   the loop that fires the entries of the schedule
//! dynamic/     the entries that apps set in Redis
//! delayed/     the loop that moves delayed jobs to their queues
//! in_force     passes the schedule in force from the recurring loop to publishing
//! publishing   the loop that publishes the entries in force in Redis
//! command      requests to a running engine
//! reload       reads the schedule files again
//! status       logs the status of this process and its entries
//! snapshot     the state of this process, as its loops publish it
//! health       current problems
//! outage       retries after errors of Redis
//! journal      records events in Redis for people
//! breath       yields to the other loops during a long pass
//! rethrow      continues the panic of a task
//! ```

mod breath;
mod command;
mod context;
pub mod delayed;
mod dynamic;
pub mod health;
mod host_clock;
mod in_force;
mod journal;
mod leadership;
mod once;
mod outage;
mod presence;
mod publishing;
pub mod recurring;
mod reload;
mod rethrow;
mod run;
mod snapshot;
mod status;
mod tick;

pub use self::{
    command::{Commands, ReloadOutcome, Requests},
    once::OnceError,
    reload::Load,
    run::{Engine, Options},
    snapshot::{EntriesSnapshot, Snapshot},
    tick::Tick,
};

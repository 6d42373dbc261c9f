//! The loops: leadership, recurring, delayed. The only code that waits.
//!
//! Each loop has one function for a single pass that takes `now`; around it, it sleeps. Sleeps are
//! short, for the wall clock may jump and hosts are suspended: the clock is asked again and again.

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

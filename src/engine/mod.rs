//! The loops: leadership, recurring, delayed. The only code that waits.
//!
//! Each loop has one function for a single pass that takes `now`; around it, it sleeps. Sleeps are
//! short, for the wall clock may jump and hosts are suspended: the clock is asked again and again.
//!
//! The files, in the order in which to read them:
//!
//! ```text
//! run          Engine: starts the loops, watches them, stops them in order
//! once         the same for --once: all that is due now, and then the end
//! tick         what a pass of a loop came to
//! context      what a loop is given: its term, its schedule, how it sleeps
//! leadership   the loop that takes the lease, renews it, and publishes the term
//! host_clock   how far this host's clock is off Redis' clock
//! presence     what this process says of itself in Redis
//! recurring/   the loop that fires the entries of the schedule
//! dynamic/     the entries that apps set in Redis
//! delayed/     the loop that moves delayed jobs to their queues
//! in_force     the schedule in force, on its way from the recurring loop to publishing
//! publishing   the loop that publishes the entries in force in Redis
//! command      what people and programs ask of a running engine
//! reload       reads the schedule files again
//! status       reports this process and its entries
//! snapshot     what this process knows of itself
//! health       what is wrong now
//! outage       what a loop does about errors of Redis
//! journal      keeps what happens in Redis, for people
//! breath       lets the other loops work during a long pass
//! rethrow      continues the panic of a loop
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

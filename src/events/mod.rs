//! Events of the loops. Each [`Event`] goes to the sinks of its engine.

mod counters;
mod event;
mod log;
mod sink;

pub use counters::{Counters, Counts};
pub use event::Event;
pub use log::{Log, log_warnings};
pub use sink::{Events, Sink};

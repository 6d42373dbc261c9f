//! What happens in the loops: each [`Event`] goes to the sinks that its engine was given.

mod counters;
mod event;
mod log;
mod sink;

pub use counters::{Counters, Counts};
pub use event::Event;
pub use log::{Log, log_warnings};
pub use sink::{Events, Sink};

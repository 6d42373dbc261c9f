//! The pure floor: decides when entries fire and which bytes their jobs have. No I/O, no clock, no async, no logging.
//!
//! Every function that depends on the time takes `now` as an argument.

pub mod excerpt;
pub mod firing;
pub mod job;
pub mod schedule;
pub mod suggestion;
pub mod term;
pub mod time;

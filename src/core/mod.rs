//! The pure floor: when to fire, and what bytes. No I/O, no clock, no async, no logging.
//!
//! Every function that depends on the time takes `now`.

pub mod excerpt;
pub mod firing;
pub mod job;
pub mod schedule;
pub mod suggestion;
pub mod term;
pub mod time;

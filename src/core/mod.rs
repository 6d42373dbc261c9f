//! The pure floor: when to fire, and what bytes. No I/O, no clock, no async, no logging.
//!
//! Every function that depends on the time takes `now`.

pub mod active_job;
pub mod cron;
pub mod duration;
pub mod entry;
pub mod every;
pub mod excerpt;
pub mod firing;
pub mod guard;
pub mod identity;
pub mod instant;
pub mod job;
pub mod json;
pub mod ruby;
pub mod schedule;
pub mod stable_hash;
pub mod suggestion;
pub mod term;
pub mod timing;
pub mod upcoming;
pub mod zone;

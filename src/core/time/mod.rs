//! When entries fire: cron expressions, intervals, time zones, and the fire times that they give.

pub mod cron;
pub mod duration;
pub mod every;
pub mod identity;
pub mod instant;
pub mod phrase;
pub mod stable_hash;
pub mod timing;
pub mod zone;

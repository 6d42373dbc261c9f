//! What an entry says about time: expressions and intervals, the zone, and the fire times that follow.

pub mod cron;
pub mod duration;
pub mod every;
pub mod identity;
pub mod instant;
pub mod phrase;
pub mod stable_hash;
pub mod timing;
pub mod zone;

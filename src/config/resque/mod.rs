//! Schedules of resque-scheduler: its entries in ours (`translate`, `entry`), those that apps set in Redis
//! (`dynamic`), and a file of it in TOML (`convert`).

#[cfg(feature = "daemon")]
pub(super) mod convert;
pub(super) mod dynamic;
pub(super) mod entry;
pub(super) mod translate;

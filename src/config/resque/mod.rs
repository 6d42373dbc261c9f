//! Schedules of resque-scheduler.
//!
//! `translate` and `entry` turn its entries into entries of this scheduler, `dynamic` reads entries that apps set in
//! Redis, and `convert` writes a YAML file as TOML.

#[cfg(feature = "daemon")]
pub(super) mod convert;
pub(super) mod dynamic;
pub(super) mod entry;
pub(super) mod translate;

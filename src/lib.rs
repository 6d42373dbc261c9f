//! A daemon that enqueues Resque jobs on time, exactly once. It never runs a job.
//!
//! The modules are listed by floor, from top to bottom. A floor imports only itself and the floors below it.
//!
//! The library makes no promise of stability. Only [`client::Client`] and the types that it takes are meant for other
//! programs. To use the client without the scheduler, set `default-features = false`.

#![cfg_attr(
    not(feature = "daemon"),
    allow(
        dead_code,
        reason = "without the daemon, the client leaves parts of the shared modules unused"
    )
)]

// ─ surfaces: command line, logs, signals ─
#[cfg(feature = "daemon")]
pub mod cli;
#[cfg(feature = "daemon")]
pub mod logs;
#[cfg(feature = "daemon")]
pub mod signals;

// ─ control: operations for people and programs ─
#[cfg(feature = "daemon")]
pub mod control;

// ─ engine: the loops ─
#[cfg(feature = "daemon")]
pub mod engine;

// ─ client: for apps ─
pub mod client;

// ─ store: Redis ─
pub mod store;

// ─ events: what happens in the loops ─
#[cfg(feature = "daemon")]
pub mod events;

// ─ config: schedule files and settings ─
pub mod config;

// ─ clock: the wall clock and the monotonic clock ─
pub mod clock;

// ─ core: pure functions and types, no I/O ─
pub mod core;

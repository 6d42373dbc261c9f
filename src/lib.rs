//! A daemon that enqueues Resque jobs on time, exactly once, and never runs one.
//!
//! The map of the house, in floor order; imports point down only. The library has no promise of
//! stability: only [`client::Client`] and what it takes is meant for other programs. It builds without the
//! scheduler, too: `default-features = false`.

#![cfg_attr(
    not(feature = "daemon"),
    allow(
        dead_code,
        reason = "some of what the client shares with the scheduler is for the scheduler alone"
    )
)]

// ─ surfaces: what people touch ─
#[cfg(feature = "daemon")]
pub mod cli;
#[cfg(feature = "daemon")]
pub mod logs;
#[cfg(feature = "daemon")]
pub mod signals;

// ─ control: what people and programs can ask for ─
#[cfg(feature = "daemon")]
pub mod control;

// ─ engine: the loops ─
#[cfg(feature = "daemon")]
pub mod engine;

// ─ client: for apps ─
pub mod client;

// ─ store: Redis ─
pub mod store;

// ─ events: what happened ─
#[cfg(feature = "daemon")]
pub mod events;

// ─ config: text → meaning ─
pub mod config;

// ─ clock ─
pub mod clock;

// ─ core: pure ─
pub mod core;

//! A daemon that enqueues Resque jobs on time, exactly once, and never runs one.
//!
//! The map of the house, in floor order; imports point down only. The library has no promise of
//! stability: only [`store::Client`] and what it takes is meant for other programs.

// ─ surfaces: what people touch ─
pub mod cli;
pub mod logs;
pub mod signals;

// ─ engine: the loops ─
pub mod engine;

// ─ store: Redis ─
pub mod store;

// ─ reports: what happened ─
pub mod events;

// ─ config: text → meaning ─
pub mod config;

// ─ clock ─
pub mod clock;

// ─ core: pure ─
pub mod core;

//! What a person or a program can ask for: one function for each operation, and one struct as its answer.
//!
//! Surfaces call these functions and show the answers; nothing here knows a command line, a terminal or a Redis key.
//! The fields of the answers are a contract: docs/commands.md describes them.

pub mod actor;
pub mod check;
pub mod delayed;
pub mod enqueue;
pub mod entries;
mod error;
pub mod events;
pub mod explain;
pub mod history;
pub mod pauses;
pub mod quarantine;
pub mod status;
pub mod trigger;

pub use self::{actor::Actor, error::ControlError};

//! Schedule files and dynamic entries: text in, a [`crate::core::schedule::Schedule`] or every mistake out.
//! Only `file` touches the disk.
//!
//! `read` makes values of text, `entry` makes entries of values, `resque` does so for the form of
//! resque-scheduler, `parse` chooses by the syntax of a file, and `report` says what is wrong. `expression` reads
//! one that was typed, `settings` what else is not in files: flags and environment.

mod context;
mod entry;
pub mod expression;
#[cfg(feature = "daemon")]
mod file;
#[cfg(feature = "daemon")]
mod parse;
mod read;
mod report;
mod resque;
#[cfg(feature = "daemon")]
pub mod settings;

pub use context::Context;
#[cfg(feature = "daemon")]
pub use file::{MAX_SIZE, convert, load};
#[cfg(feature = "daemon")]
pub use parse::{Loaded, parse, toml_of};
pub use report::{
    diagnostic::{Diagnostic, Mistakes},
    mistake::Mistake,
    source::{Place, Source, Syntax},
};
pub use resque::dynamic::{AtPath, DynamicEntry, dynamic_entry};

#[cfg(test)]
mod tests;

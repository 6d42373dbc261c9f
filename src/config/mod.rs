//! Reads schedule files and dynamic entries into a [`crate::core::schedule::Schedule`], or reports every error in them.
//!
//! * `file` reads the files from disk.
//! * `parse` turns the texts of files into a schedule, by the syntax of each file.
//! * `read` turns text into values with positions.
//! * `entry` turns values into entries; `resque` does so for entries of resque-scheduler.
//! * `report` describes errors and warnings.
//! * `expression` reads an expression from the command line; `settings` reads flags and environment variables.

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

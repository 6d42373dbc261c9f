//! Decides which fire of an entry is next, and what happens to missed fires.

pub mod decide;
pub mod history;
pub mod named;
pub mod outcome;
pub mod upcoming;

#[cfg(test)]
mod tests;

//! Which fire is next, and what becomes of those that were missed. Pure: `now` is an argument.

pub mod decide;
pub mod history;
pub mod named;
pub mod outcome;
pub mod upcoming;

#[cfg(test)]
mod tests;

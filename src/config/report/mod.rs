//! Errors and warnings about schedule files: their messages (`mistake`) and help texts (`help`), their positions
//! (`source`, `diagnostic`), and how they are shown (`render`).

pub(super) mod diagnostic;
mod help;
pub(super) mod mistake;
#[cfg(feature = "daemon")]
mod render;
pub(super) mod source;

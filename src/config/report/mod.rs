//! What is wrong with schedule files: in words (`mistake`), how to mend it (`help`), with places (`source`, `diagnostic`), and shown
//! (`render`).

pub(super) mod diagnostic;
mod help;
pub(super) mod mistake;
#[cfg(feature = "daemon")]
mod render;
pub(super) mod source;

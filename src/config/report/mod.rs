//! What is wrong with schedule files: in words (`mistake`), with places (`source`, `diagnostic`), and shown
//! (`render`).

pub(super) mod diagnostic;
pub(super) mod mistake;
#[cfg(feature = "daemon")]
mod render;
pub(super) mod source;

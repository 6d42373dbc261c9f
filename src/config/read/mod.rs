//! Texts → values with their places (`toml`; `yaml`, with the scalars of `psych`; `json`), and a table that is asked
//! for its keys (`table`).

pub(super) mod json;
#[cfg(feature = "daemon")]
mod psych;
pub(super) mod table;
#[cfg(feature = "daemon")]
pub(super) mod toml;
pub(super) mod value;
#[cfg(feature = "daemon")]
pub(super) mod yaml;

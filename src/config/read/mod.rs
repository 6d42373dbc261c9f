//! Parses texts into values with their positions.
//!
//! `toml`, `yaml` (with `psych` for scalars) and `json` parse the syntaxes. `table` reads the keys of a parsed table.

pub(super) mod json;
#[cfg(feature = "daemon")]
mod psych;
pub(super) mod table;
#[cfg(feature = "daemon")]
pub(super) mod toml;
pub(super) mod value;
#[cfg(feature = "daemon")]
pub(super) mod yaml;

//! Texts → values with their places (`toml`; `yaml`, with the scalars of `psych`; `json`), and a table that is asked
//! for its keys (`table`).

pub(super) mod json;
mod psych;
pub(super) mod table;
pub(super) mod toml;
pub(super) mod value;
pub(super) mod yaml;

//! Why an operation failed.

use crate::{
    client::ClientError,
    store::{StoreError, UnreadableEntry},
};

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// An error of Redis.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A job cannot be enqueued.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No entry of that name is in force.
    #[error("no entry `{name}` is in force{}", did_you_mean(.nearest.as_deref()))]
    NoEntry {
        /// The name that was asked for.
        name: String,
        /// An entry with a similar name.
        nearest: Option<String>,
    },
    /// The published form of an entry cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableEntry),
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

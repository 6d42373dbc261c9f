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
    /// A pause would be over before it begins.
    #[error("the end of the pause is in the past")]
    PauseOver,
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

/// A part of the answer; one that cannot be read, because its key has the wrong type or the Redis user may not
/// use it, is empty, and is a problem.
pub(super) fn readable<T: Default>(
    part: Result<T, StoreError>,
    broken: &mut Vec<String>,
) -> Result<T, StoreError> {
    match part {
        Err(error) if error.is_partial() => {
            broken.push(error.to_string());
            Ok(T::default())
        }
        part => part,
    }
}

//! Checks the arguments of a job and writes them as JSON that a worker can read.

use serde::{Serialize, ser::Error as _};

use crate::{
    core::job::{
        json::{self, AROUND_ARGUMENTS},
        payload::argument_list,
    },
    store::StoreError,
};

/// Why a job was not enqueued, or a dynamic entry not set.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// An error of Redis. After [`StoreError::Unavailable`] the job may have been enqueued.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The arguments cannot be written as JSON, or a worker would exit when it reads them.
    #[error("the arguments of {class} cannot be enqueued: {error}")]
    Arguments {
        /// The job's class.
        class: String,
        /// What is wrong with the arguments.
        error: serde_json::Error,
    },
    /// A scheduler would reject this dynamic entry.
    #[error("the entry `{name}` has errors: {mistakes}")]
    Entry {
        /// The entry's name.
        name: String,
        /// Every error, with its path in the entry, separated by `; `.
        mistakes: String,
    },
    /// The class or the queue is empty.
    #[error("a job needs a class and a queue; class is `{class}`, queue is `{queue}`")]
    Nameless {
        /// The job's class.
        class: String,
        /// The job's queue.
        queue: String,
    },
}

/// Returns the argument list as a JSON array, or an error if the job cannot be enqueued.
pub(super) fn checked(
    queue: &str,
    class: &str,
    arguments: &(impl Serialize + ?Sized),
) -> Result<String, ClientError> {
    if queue.is_empty() || class.is_empty() {
        let (class, queue) = (class.to_owned(), queue.to_owned());
        return Err(ClientError::Nameless { class, queue });
    }
    let json = json(class, arguments)?;
    let list = argument_list(&json).into_owned();
    json::check(&list, AROUND_ARGUMENTS)
        .map_err(|error| unfit(class, serde_json::Error::custom(error)))?;
    Ok(list)
}

/// Writes arguments of a job of `class` as JSON.
pub(super) fn json(
    class: &str,
    arguments: &(impl Serialize + ?Sized),
) -> Result<String, ClientError> {
    serde_json::to_string(arguments).map_err(|error| unfit(class, error))
}

fn unfit(class: &str, error: serde_json::Error) -> ClientError {
    ClientError::Arguments {
        class: class.to_owned(),
        error,
    }
}

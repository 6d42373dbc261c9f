//! Arguments of jobs as JSON that a worker can read, and why something was not enqueued.

use serde::{Serialize, ser::Error as _};

use crate::{
    core::job::{
        json::{self, AROUND_ARGUMENTS},
        payload::argument_list,
    },
    store::StoreError,
};

/// Why a job was not enqueued, or an entry not set.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Redis. After [`StoreError::Unavailable`] the job may have been enqueued.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// serde cannot write the arguments as JSON, or a worker would exit on them.
    #[error("the arguments of {class} cannot be enqueued: {error}")]
    Arguments {
        /// The job's class.
        class: String,
        /// What is wrong with them.
        error: serde_json::Error,
    },
    /// A scheduler would refuse this dynamic entry.
    #[error("the entry `{name}` has errors: {mistakes}")]
    Entry {
        /// The entry's name.
        name: String,
        /// All of them, each with its path in the entry.
        mistakes: String,
    },
    /// Resque takes no job without a class and a queue.
    #[error("a job needs a class and a queue; class is `{class}`, queue is `{queue}`")]
    Nameless {
        /// The job's class.
        class: String,
        /// The job's queue.
        queue: String,
    },
}

/// The argument list of a job that can be enqueued: a JSON array.
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

/// Arguments of a job of class `class` as JSON.
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

//! What can go wrong with Redis, by what to do about it.

use redis::{ErrorKind, ServerError};

/// An error of the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No answer, or one that says "not now" (loading, a replica, out of memory). What was sent
    /// may have been done. Trying again helps, and is safe.
    #[error("Redis at {server} is unavailable: {reason}")]
    Unavailable {
        /// Where, without password.
        server: String,
        /// What was seen.
        reason: String,
    },
    /// Redis answered no, and will again until someone mends its settings or the URL.
    #[error("Redis at {server} refuses a command on `{key}`: {reason}")]
    Refused {
        /// Where, without password.
        server: String,
        /// The key that it is most likely about.
        key: String,
        /// Redis' own words.
        reason: String,
    },
    /// A key holds what it should not.
    #[error("Redis at {server} holds something unexpected, most likely in `{key}`: {reason}")]
    Corrupt {
        /// Where, without password.
        server: String,
        /// The key that it is most likely about.
        key: String,
        /// Redis' own words.
        reason: String,
    },
    /// The address can't be used; it is not shown, for it may hold a password.
    #[error("the Redis URL can't be used: {0}; expected redis://host:port/db or unix:///path")]
    Address(String),
}

impl StoreError {
    /// Sorts an error of the Redis client.
    pub(super) fn new(server: &str, key: &str, error: &redis::RedisError) -> Self {
        let (server, key) = (server.to_owned(), key.to_owned());
        let reason = error.to_string();
        let in_pipeline = || {
            error
                .clone()
                .into_server_errors()?
                .first()
                .map(|(_, e)| e.clone())
        };
        let server_error = in_pipeline();
        match server_error.as_ref().map(ServerError::code) {
            None if error.kind() == ErrorKind::UnexpectedReturnType => Self::Corrupt {
                server,
                key,
                reason,
            },
            None if error.kind() == ErrorKind::AuthenticationFailed => Self::Refused {
                server,
                key,
                reason,
            },
            None
            | Some(
                "LOADING" | "READONLY" | "OOM" | "BUSY" | "MASTERDOWN" | "TRYAGAIN" | "CLUSTERDOWN"
                | "NOREPLICAS" | "MISCONF",
            ) => Self::Unavailable { server, reason },
            Some("WRONGTYPE") => Self::Corrupt {
                server,
                key,
                reason,
            },
            Some(_) => Self::Refused {
                server,
                key,
                reason,
            },
        }
    }
}

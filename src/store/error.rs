//! Errors of Redis, sorted by what an operator can do about them.

use redis::{ErrorKind, RedisError};

use crate::core::excerpt::excerpt;

/// An error of the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Redis did not answer, or cannot answer now (loading, a replica, out of memory).
    ///
    /// The call may have been done. Repeating it is safe and can succeed.
    #[error("Redis at {server} is unavailable: {reason}")]
    Unavailable {
        /// Host, port and database, without the password.
        server: String,
        /// What happened.
        reason: String,
        /// Whether an open connection was closed. A new connection may work.
        dropped: bool,
    },
    /// Redis rejects the user or the password, until someone corrects them in Redis or in the URL.
    #[error(
        "Redis at {server} rejects the user or the password: {reason}; check both in the Redis URL"
    )]
    Unauthenticated {
        /// Host, port and database, without the password.
        server: String,
        /// The error text of Redis.
        reason: String,
    },
    /// Redis has no database of that number, until someone corrects its settings or the URL.
    #[error(
        "Redis at {server} has no such database: {reason}; check the number at the end of the Redis URL"
    )]
    NoDatabase {
        /// Host, port and database, without the password.
        server: String,
        /// The error text of Redis.
        reason: String,
    },
    /// The Redis user lacks a right, until someone grants it.
    #[error(
        "Redis at {server} denies a command or a key to this user: {reason}; docs/configuration.md lists the rights that the scheduler needs"
    )]
    Denied {
        /// Host, port and database, without the password.
        server: String,
        /// The error text of Redis, with the key if the error is about one.
        reason: String,
    },
    /// Redis refuses a command, and will until someone corrects its settings or the URL.
    #[error("Redis at {server} refuses a command on `{key}`: {reason}")]
    Refused {
        /// Host, port and database, without the password.
        server: String,
        /// The key that the error is most likely about.
        key: String,
        /// The error text of Redis.
        reason: String,
    },
    /// A key has the wrong type, or a reply has an unexpected form.
    #[error("Redis at {server} holds something unexpected, most likely in `{key}`: {reason}")]
    Corrupt {
        /// Host, port and database, without the password.
        server: String,
        /// The key that the error is most likely about.
        key: String,
        /// The error text of Redis.
        reason: String,
    },
    /// The URL cannot be used. It is not shown, because it may contain a password.
    #[error(
        "cannot use the Redis URL: {0}; expected redis://host:port/db, unix:///path, \
         redis+sentinel://host:port,host:port/service or redis+cluster://host:port; for TLS, rediss"
    )]
    Address(String),
    /// The certificates or a private key cannot be used.
    #[error("cannot use the certificates of --tls-ca, --tls-cert and --tls-key: {0}")]
    Certificate(String),
    /// The namespace of a cluster has no hash tag, so its keys are not all on one node, as scripts require.
    #[error(
        "on a Redis Cluster the namespace needs a hash tag, so that all keys are on one node: \
         expected for example `{{{namespace}}}`, not `{namespace}`; apps and workers need the same"
    )]
    NoHashTag {
        /// The namespace that was given.
        namespace: String,
    },
}

impl StoreError {
    /// Converts an error of the Redis client.
    pub(super) fn new(server: &str, key: &str, error: &RedisError) -> Self {
        let (server, key) = (server.to_owned(), key.to_owned());
        let reason = excerpt(&error.to_string()).into_owned();
        if reason.contains("refused to switch database") {
            let about = |words: &str| error.detail().is_some_and(|it| it.contains(words));
            return if about("no permissions") {
                Self::Denied { server, reason }
            } else if about("Authentication required") {
                Self::Unauthenticated { server, reason }
            } else {
                Self::NoDatabase { server, reason }
            };
        }
        match code(error).as_deref() {
            None if error.kind() == ErrorKind::UnexpectedReturnType => Self::Corrupt {
                server,
                key,
                reason,
            },
            None if error.kind() == ErrorKind::AuthenticationFailed => {
                Self::Unauthenticated { server, reason }
            }
            Some("NOAUTH" | "WRONGPASS") => Self::Unauthenticated { server, reason },
            None
            | Some(
                "LOADING" | "READONLY" | "OOM" | "BUSY" | "MASTERDOWN" | "TRYAGAIN" | "CLUSTERDOWN"
                | "NOREPLICAS" | "MISCONF" | "NOSCRIPT" | "UNBLOCKED" | MAX_CLIENTS,
            ) => Self::Unavailable {
                server,
                reason,
                dropped: error.is_connection_dropped(),
            },
            Some("MOVED" | "ASK" | "CROSSSLOT") => Self::Unavailable {
                server,
                reason: format!("{reason}; the URL of a cluster is redis+cluster://host:port"),
                dropped: false,
            },
            Some("WRONGTYPE") => Self::Corrupt {
                server,
                key,
                reason,
            },
            // Redis names the command that is denied, except within a script.
            Some(_) if reason.contains("user executing the script") => {
                Self::Denied { server, reason }
            }
            Some("NOPERM") if reason.contains("command") => Self::Denied { server, reason },
            // Redis does not name the key that is denied.
            Some("NOPERM") => Self::Denied {
                server,
                reason: format!("{reason} (most likely `{key}`)"),
            },
            Some(_) => Self::Refused {
                server,
                key,
                reason,
            },
        }
    }
}

impl StoreError {
    /// Whether the error concerns single keys or commands, so that others may still work.
    pub fn is_partial(&self) -> bool {
        matches!(
            self,
            Self::Corrupt { .. } | Self::Denied { .. } | Self::Refused { .. }
        )
    }
}

/// Whether a new connection may help: this one is broken, or leads to a server that is not the master.
pub(super) fn is_of_the_connection(error: &RedisError) -> bool {
    match code(error).as_deref() {
        None => error.kind() != ErrorKind::UnexpectedReturnType,
        Some(code) => matches!(
            code,
            "READONLY"
                | "MASTERDOWN"
                | "LOADING"
                | "UNBLOCKED"
                | "MOVED"
                | "ASK"
                | "CLUSTERDOWN"
                | MAX_CLIENTS
        ),
    }
}

/// Our own code for an error that has none: the server accepts no more connections.
const MAX_CLIENTS: &str = "MAXCLIENTS";

/// Returns the code of the server's error (of a pipeline, of the first one).
fn code(error: &RedisError) -> Option<String> {
    let errors = error.clone().into_server_errors()?;
    let (_, error) = errors.first()?;
    let details = error.details().unwrap_or_default();
    if details.starts_with("max number of clients") {
        return Some(MAX_CLIENTS.to_owned());
    }
    let inner = code_within_script(details);
    Some(inner.unwrap_or_else(|| error.code()).to_owned())
}

/// Returns the code of a command that failed within a script.
///
/// Redis 6.2 wraps it: `Error running script (call to f_…): @user_script:1: @user_script: 1: -READONLY You can't
/// write…`.
fn code_within_script(details: &str) -> Option<&str> {
    let (_, inner) = details
        .strip_prefix("Error running script")?
        .rsplit_once("@user_script")?;
    let is_code = |word: &&str| word.len() > 1 && word.bytes().all(|it| it.is_ascii_uppercase());
    inner
        .split([' ', '-'])
        .find(|word| !word.is_empty() && !word.ends_with(':'))
        .filter(is_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_an_error_in_a_script_is_found_in_redis_6_2() {
        for (details, code) in [
            (
                "@user_script:1: WRONGTYPE Operation against",
                Some("WRONGTYPE"),
            ),
            (
                "@user_script:1: @user_script: 1: -OOM command not",
                Some("OOM"),
            ),
            ("@user_script:1: @user_script: 1: The user executing", None),
        ] {
            let details = format!("Error running script (call to f_1823): {details}");
            assert_eq!(code_within_script(&details), code, "{details}");
        }
        assert_eq!(code_within_script("unknown command"), None);
    }
}

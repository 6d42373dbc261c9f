//! What can go wrong with Redis, by what to do about it.

use redis::{ErrorKind, RedisError};

use crate::core::excerpt::excerpt;

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
        /// Whether that was the end of a connection; the next one may do.
        dropped: bool,
    },
    /// Redis rejects the user or the password, until someone corrects its users or the URL.
    #[error(
        "Redis at {server} rejects the user or the password: {reason}; check both in the Redis URL"
    )]
    Unauthenticated {
        /// Where, without password.
        server: String,
        /// Redis' own words.
        reason: String,
    },
    /// Redis has no database of that number, until someone corrects its settings or the URL.
    #[error(
        "Redis at {server} has no such database: {reason}; check the number at the end of the Redis URL"
    )]
    NoDatabase {
        /// Where, without password.
        server: String,
        /// Redis' own words.
        reason: String,
    },
    /// The user lacks a right, until someone grants it.
    #[error(
        "Redis at {server} denies a command or a key to this user: {reason}; docs/configuration.md lists the rights that the scheduler needs"
    )]
    Denied {
        /// Where, without password.
        server: String,
        /// Redis' own words, and the key if they are about one.
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
    #[error(
        "cannot use the Redis URL: {0}; expected redis://host:port/db, unix:///path, \
         redis+sentinel://host:port,host:port/service or redis+cluster://host:port; for TLS, rediss"
    )]
    Address(String),
    /// The certificates, or the key of one, cannot be used.
    #[error("cannot use the certificates of --tls-ca, --tls-cert and --tls-key: {0}")]
    Certificate(String),
    /// A cluster runs a script only where all its keys are on one node.
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
    /// Sorts an error of the Redis client.
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
            // Redis names a command that is denied, but not within a script.
            Some(_) if reason.contains("user executing the script") => {
                Self::Denied { server, reason }
            }
            Some("NOPERM") if reason.contains("command") => Self::Denied { server, reason },
            // It does not name a key that is denied.
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
    /// Whether the error is about single keys or commands: others may still work.
    pub fn is_partial(&self) -> bool {
        matches!(
            self,
            Self::Corrupt { .. } | Self::Denied { .. } | Self::Refused { .. }
        )
    }
}

/// Whether another connection may fare better: this one is broken, or leads to a server that is no
/// master any more.
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

/// What we call an error that has no code of its own: the server takes no more connections.
const MAX_CLIENTS: &str = "MAXCLIENTS";

/// The code of the server's (first) error.
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

/// The code of what failed in a script. Redis 6.2 wraps it: `Error running script (call to f_…):
/// @user_script:1: @user_script: 1: -READONLY You can't write…`.
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

//! The address of Redis (a server, a Sentinel service or a cluster), and the credentials for it.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

use crate::store::{error::StoreError, keys::Keys};

/// The default port of a sentinel.
const SENTINEL_PORT: u16 = 26379;

/// What is needed to connect to Redis in addition to its URL.
#[derive(Clone, Default)]
pub struct Credentials {
    /// PEM: the certificate authorities to trust. `None`: those of this host.
    pub ca: Option<Vec<u8>>,
    /// PEM: the client certificate and its private key.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
    /// The user name for the sentinels, if they require one. The user name for Redis itself is in the URL.
    pub sentinel_username: Option<String>,
    /// The password for the sentinels.
    pub sentinel_password: Option<String>,
}

/// The address of a Redis. It is valid, but nothing has connected to it yet.
#[derive(Clone)]
pub struct Address {
    pub(super) place: Place,
    pub(super) credentials: Credentials,
    shown: String,
}

#[derive(Clone)]
pub(super) enum Place {
    Server(ConnectionInfo),
    Sentinel {
        sentinels: Vec<ConnectionAddr>,
        service: String,
        /// User, password and database of the server. Its host and port are placeholders.
        server: ConnectionInfo,
    },
    Cluster(Vec<ConnectionInfo>),
}

impl Address {
    /// Reads a URL as [`Address::parse`] does, without checking that a client accepts the address.
    pub(super) fn read(url: &str, credentials: Credentials) -> Result<Self, StoreError> {
        check_encoding(url)?;
        check_options(url)?;
        let (place, shown) = match url.split_once("+sentinel://") {
            Some((scheme, rest)) => sentinel(scheme, rest)?,
            None => match url.split_once("+cluster://") {
                Some((scheme, rest)) => cluster(scheme, rest)?,
                None => server(url)?,
            },
        };
        let address = Self {
            place,
            credentials,
            shown,
        };
        address.check_certificates()?;
        Ok(address)
    }

    fn check_certificates(&self) -> Result<(), StoreError> {
        let Credentials {
            ca, certificate, ..
        } = &self.credentials;
        let refused = |reason: &str| Err(StoreError::Certificate(reason.to_owned()));
        if !self.uses_tls() && (ca.is_some() || certificate.is_some()) {
            return refused("the Redis URL does not use TLS; for TLS it begins with `rediss`");
        }
        let holds_some = |pem: &[u8]| CertificateDer::pem_slice_iter(pem).next().is_some();
        if !ca.as_deref().is_none_or(holds_some) {
            return refused("the --tls-ca file holds no PEM certificate");
        }
        let Some((own, key)) = certificate else {
            return Ok(());
        };
        if !holds_some(own) {
            return refused("the --tls-cert file holds no PEM certificate");
        }
        // Checked now, because rustls would report it only when the first connection is opened.
        let own: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(own).collect();
        let Ok(own) = own else {
            return refused("the --tls-cert file holds something other than PEM");
        };
        let Ok(key) = PrivateKeyDer::from_pem_slice(key) else {
            return refused("the --tls-key file holds no PEM private key");
        };
        match CertifiedKey::from_der(own, key, &ring::default_provider()) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InconsistentKeys(_)) => {
                refused("--tls-key does not belong to --tls-cert")
            }
            Err(error) => refused(&error.to_string()),
        }
    }

    /// Checks that the namespace of a cluster has a hash tag, which keeps all keys on one node.
    pub(super) fn check_namespace(&self, keys: &Keys) -> Result<(), StoreError> {
        match self.place {
            Place::Cluster(_) if !keys.have_hash_tag() => {
                let namespace = keys.namespace().to_owned();
                Err(StoreError::NoHashTag { namespace })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn uses_tls(&self) -> bool {
        let with_tls = |it: &ConnectionInfo| matches!(it.addr(), ConnectionAddr::TcpTls { .. });
        match &self.place {
            Place::Server(server) | Place::Sentinel { server, .. } => with_tls(server),
            // All nodes have the scheme of the URL.
            Place::Cluster(nodes) => nodes.iter().any(with_tls),
        }
    }
}

/// Shows hosts, ports and database, without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Rejects a user or password with an unencoded `/`, `?` or `#`.
///
/// The text after such a character would be read as the path, and the text before it as the host.
fn check_encoding(url: &str) -> Result<(), StoreError> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Ok(());
    };
    let user = rest.rfind('@').map_or("", |at| &rest[..at]);
    match user.chars().find(|letter| "/?#".contains(*letter)) {
        Some(letter) if !scheme.ends_with("unix") => Err(StoreError::Address(format!(
            "the user or the password contains a `{letter}`, which must be percent-encoded: write `%{:02X}`",
            u32::from(letter)
        ))),
        _ => Ok(()),
    }
}

/// Rejects a fragment and unknown options: they would be ignored, and may be a misplaced password.
fn check_options(url: &str) -> Result<(), StoreError> {
    let refused = |reason: &str| Err(StoreError::Address(reason.to_owned()));
    if url.ends_with("#insecure") {
        return refused(
            "TLS without a check of the server's certificate (`#insecure`) is not supported; name the \
             authority that signed it with --tls-ca",
        );
    }
    if url.contains('#') {
        return refused("it contains a `#`, which must be percent-encoded: write `%23`");
    }
    let (place, options) = url.split_once('?').unwrap_or((url, ""));
    let known: &[&str] = match place.split_once("://") {
        Some(("unix" | "redis+unix" | "valkey+unix", _)) => &["db", "user", "pass", "protocol"],
        _ => &["protocol"],
    };
    let name = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
    let mut options = options.split('&').filter(|option| !option.is_empty());
    if options.any(|option| !known.contains(&&*name(option))) {
        return refused(
            "it contains an unknown option after the `?`; expected user and password before the host",
        );
    }
    Ok(())
}

fn server(url: &str) -> Result<(Place, String), StoreError> {
    let info = url.into_connection_info().map_err(unreadable)?;
    let info = quiet(info);
    let shown = format!("{}/{}", info.addr(), info.redis_settings().db());
    Ok((Place::Server(info), shown))
}

fn sentinel(scheme: &str, rest: &str) -> Result<(Place, String), StoreError> {
    let (user, hosts, path) = parts(rest)?;
    let (service, db) = path.split_once('/').unwrap_or((path, "0"));
    if service.is_empty() {
        let expected = "expected the service's name after the sentinels, as in redis+sentinel://host:26379/mymaster";
        return Err(StoreError::Address(expected.to_owned()));
    }
    let info = |user: &str, host: &str, db: &str| {
        let url = format!("{scheme}://{user}{host}/{db}");
        url.into_connection_info().map(quiet).map_err(unreadable)
    };
    let sentinels: Vec<ConnectionAddr> = hosts
        .split(',')
        .map(|host| {
            let has_port = host
                .rsplit_once(':')
                .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            let port = if has_port {
                String::new()
            } else {
                format!(":{SENTINEL_PORT}")
            };
            Ok(info("", &format!("{host}{port}"), "")?.addr().clone())
        })
        .collect::<Result<_, StoreError>>()?;
    let place = Place::Sentinel {
        sentinels,
        service: service.to_owned(),
        server: info(user, "any", db)?,
    };
    Ok((place, format!("{service}/{db} of sentinels {hosts}")))
}

fn cluster(scheme: &str, rest: &str) -> Result<(Place, String), StoreError> {
    let (user, hosts, path) = parts(rest)?;
    if !path.is_empty() {
        let expected = "a cluster has no databases: expected nothing after its nodes";
        return Err(StoreError::Address(expected.to_owned()));
    }
    let node = |host: &str| {
        let url = format!("{scheme}://{user}{host}");
        url.into_connection_info().map(quiet).map_err(unreadable)
    };
    let nodes: Vec<ConnectionInfo> = hosts.split(',').map(node).collect::<Result<_, _>>()?;
    Ok((Place::Cluster(nodes), format!("cluster {hosts}")))
}

/// Returns `USER:PASSWORD@` or an empty text, the hosts, and the path without its leading `/`.
fn parts(rest: &str) -> Result<(&str, &str, &str), StoreError> {
    let at = rest.rfind('@').map_or(0, |at| at + 1);
    let (user, rest) = rest.split_at(at);
    if rest.contains(['?', '#']) {
        let expected = "a URL of sentinels or a cluster has no options; expected user and password before the hosts";
        return Err(StoreError::Address(expected.to_owned()));
    }
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    Ok((user, hosts, path))
}

/// Omits CLIENT SETINFO, because the Redis user may lack the right to call it.
fn quiet(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    info.set_redis_settings(settings)
}

/// Returns an error without any part of the URL: a password may be anywhere in a URL that cannot be parsed.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: redis::RedisError) -> StoreError {
    let text = error.to_string();
    let part = error.detail().unwrap_or_default();
    let words = text.strip_suffix(part).unwrap_or_default();
    StoreError::Address(words.trim_end_matches(": ").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shown(url: &str) -> String {
        Address::parse(url, Credentials::default())
            .map_or_else(|e| e.to_string(), |it| it.to_string())
    }

    #[test]
    fn addresses_are_shown_without_passwords() {
        assert_eq!(shown("redis://u:secret@host:7/3"), "host:7/3");
        assert_eq!(shown("rediss://:secret@host"), "host:6379/0");
        assert_eq!(shown("unix:///run/redis.sock"), "/run/redis.sock/0");
        assert_eq!(
            shown("redis+sentinel://:secret@a,b:1/main/2"),
            "main/2 of sentinels a,b:1"
        );
        assert_eq!(
            shown("rediss+cluster://u:secret@a:1,b:2"),
            "cluster a:1,b:2"
        );
    }

    #[test]
    fn an_unusable_url_is_rejected_without_repeating_it() {
        for url in [
            "http://:secret@host",
            "redis+sentinel://:secret@host",
            "redis+sentinel://host/main?password=secret",
            "redis+cluster://host?password=secret",
            "redis+cluster://:secret@host/3",
            "secret",
        ] {
            let error = shown(url);
            assert!(error.contains("cannot use the Redis URL"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_password_with_reserved_characters_must_be_percent_encoded() {
        for (url, hint) in [
            ("redis://:sec/ret@host", "write `%2F`"),
            ("redis://user:12#secret@host", "write `%23`"),
            ("rediss+cluster://:secret?@a,b", "write `%3F`"),
            ("redis+sentinel://:/secret@a/main", "write `%2F`"),
        ] {
            let error = shown(url);
            assert!(error.contains(hint), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert_eq!(shown("redis://:%2F%23%40@host"), "host:6379/0");
        assert_eq!(shown("redis://:a@b@host"), "host:6379/0");
        assert_eq!(shown("unix:///run/a@b.sock"), "/run/a@b.sock/0");
        assert_eq!(shown("redis+unix:///run/a@b.sock"), "/run/a@b.sock/0");
    }

    #[test]
    fn a_sentinel_without_a_port_has_the_default_one() {
        let address = Address::parse("redis+sentinel://a,b:1/main", Credentials::default());
        let Place::Sentinel { sentinels, .. } = address.unwrap().place else {
            panic!("not of sentinels");
        };
        let expected =
            [("a", 26379), ("b", 1)].map(|(it, port)| ConnectionAddr::Tcp(it.into(), port));
        assert_eq!(sentinels, expected);
    }
}

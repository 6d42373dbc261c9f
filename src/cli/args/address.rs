//! The Redis address, from the command line and the environment.

use std::{fmt, fs, path::PathBuf};

use clap::{Args, builder::NonEmptyStringValueParser};

use crate::{
    cli::failure::Failure,
    store::{Address, Credentials, Keys},
};

/// Arguments that say how to reach Redis.
#[derive(Args)]
#[command(next_help_heading = "Redis")]
pub(in crate::cli) struct RedisArguments {
    /// Redis URL: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]`, `unix:///PATH`,
    /// `redis+sentinel://HOST,HOST/SERVICE[/DB]` or `redis+cluster://HOST,HOST`; `rediss` for TLS. If the URL has a
    /// password, set the variable: other users of the host can see the command line
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    #[arg(default_value = "redis://127.0.0.1:6379/0")]
    pub(in crate::cli) redis_url: String,

    /// Prefix of all Redis keys; in a cluster it needs a hash tag, such as `{resque}`
    #[arg(long, env = "RESQUE_NAMESPACE", value_name = "NAME")]
    #[arg(default_value = "resque", value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) namespace: String,

    /// Prefix in the leader lock's key, for independent schedulers in one namespace
    #[arg(
        long,
        env = "RESQUE_SCHEDULER_MASTER_LOCK_PREFIX",
        value_name = "PREFIX"
    )]
    lock_prefix: Option<String>,

    /// Certificate authorities to trust (PEM), in place of those of this host
    #[arg(long, env = "REDIS_TLS_CA", value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// Client certificate (PEM)
    #[arg(
        long,
        env = "REDIS_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    tls_cert: Option<PathBuf>,

    /// Private key of the client certificate (PEM)
    #[arg(
        long,
        env = "REDIS_TLS_KEY",
        hide_env_values = true,
        value_name = "FILE",
        requires = "tls_cert"
    )]
    tls_key: Option<PathBuf>,

    /// User name for the sentinels; the user name for Redis is in the URL
    #[arg(long, env = "REDIS_SENTINEL_USERNAME", value_name = "NAME")]
    #[arg(hide_env_values = true)]
    sentinel_username: Option<String>,

    /// Password for the sentinels
    #[arg(long, env = "REDIS_SENTINEL_PASSWORD", value_name = "PASSWORD")]
    #[arg(hide_env_values = true)]
    sentinel_password: Option<String>,
}

/// Omits all values that may contain a password.
impl fmt::Debug for RedisArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RedisArguments");
        shown.field("namespace", &self.namespace);
        shown.finish_non_exhaustive()
    }
}

impl RedisArguments {
    /// The keys of this namespace and lock prefix.
    pub(in crate::cli) fn keys(&self) -> Keys {
        Keys::new(&self.namespace, self.lock_prefix.as_deref())
    }

    /// Returns the address of Redis. Reads the certificate files.
    pub(in crate::cli) fn address(&self) -> Result<Address, Failure> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|error| Failure::File {
                what: "read",
                path: path.clone(),
                error,
            })
        };
        let certificate = self.tls_cert.as_ref().zip(self.tls_key.as_ref());
        let credentials = Credentials {
            ca: self.tls_ca.as_ref().map(read).transpose()?,
            certificate: certificate
                .map(|(certificate, key)| Ok::<_, Failure>((read(certificate)?, read(key)?)))
                .transpose()?,
            sentinel_username: self.sentinel_username.clone(),
            sentinel_password: self.sentinel_password.clone(),
        };
        Ok(Address::parse(&self.redis_url, credentials)?)
    }
}

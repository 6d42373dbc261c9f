//! The connection to Redis: address, timeouts, reconnecting.

use std::time::Duration;

use redis::{
    Client, Cmd, FromRedisValue, IntoConnectionInfo, Pipeline, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use super::error::StoreError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A shared connection that opens itself again. A call that fails is never repeated here: the
/// loops do so, at their own pace.
#[derive(Clone)]
pub(super) struct Connection {
    manager: ConnectionManager,
    /// For the calls that block; opened when first used.
    waiting: ConnectionManager,
    server: String,
}

impl Connection {
    /// Prepares a connection to `url`; nothing is sent yet.
    pub(super) fn open(url: &str) -> Result<Self, StoreError> {
        let invalid = |error: redis::RedisError| StoreError::Address {
            url: without_password(url),
            reason: error.to_string(),
        };
        let info = url.into_connection_info().map_err(invalid)?;
        let server = format!("{}/{}", info.addr(), info.redis_settings().db());
        let client = Client::open(info).map_err(invalid)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_number_of_retries(0);
        let manager = || {
            ConnectionManager::new_lazy_with_config(client.clone(), config.clone()).map_err(invalid)
        };
        Ok(Self {
            manager: manager()?,
            waiting: manager()?,
            server,
        })
    }

    /// Host, port and database; no password.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Runs a script. `key` is the one that an error is most likely about, here as below.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
        key: &str,
    ) -> Result<T, StoreError> {
        let reply = call.invoke_async(&mut self.manager.clone()).await;
        reply.map_err(|error| self.error(key, &error))
    }

    pub(super) async fn command<T: FromRedisValue>(
        &self,
        command: &Cmd,
        key: &str,
    ) -> Result<T, StoreError> {
        let reply = command.query_async(&mut self.manager.clone()).await;
        reply.map_err(|error| self.error(key, &error))
    }

    pub(super) async fn pipeline<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
        key: &str,
    ) -> Result<T, StoreError> {
        let reply = pipeline.query_async(&mut self.manager.clone()).await;
        reply.map_err(|error| self.error(key, &error))
    }

    /// Waits on a connection of its own, for at most `timeout` (a second or less), until `list`
    /// has an element, and takes it.
    pub(super) async fn wait_for(&self, list: &str, timeout: Duration) -> Result<(), StoreError> {
        let mut wait = redis::cmd("BLPOP");
        wait.arg(list).arg(timeout.as_secs_f64());
        let reply = wait.exec_async(&mut self.waiting.clone()).await;
        reply.map_err(|error| self.error(list, &error))
    }

    fn error(&self, key: &str, error: &redis::RedisError) -> StoreError {
        StoreError::new(&self.server, key, error)
    }
}

/// `url` as it may be shown: what stands between `://` and the last `@` is left out.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            format!("{}…{}", &url[..scheme + 3], &url[at..])
        }
        (None, Some(at)) => format!("…{}", &url[at..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            ("redis://:s3cret@db:6379/1", "redis://…@db:6379/1"),
            ("redis://me:s3@cret@db", "redis://…@db"),
            ("me:s3cret@db", "…@db"),
            ("redis://db:6379/1", "redis://db:6379/1"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}

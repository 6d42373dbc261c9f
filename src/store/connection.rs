//! The connection to Redis: address, timeouts, reconnecting.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

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
    manager: Arc<Mutex<ConnectionManager>>,
    client: Client,
    server: String,
}

impl Connection {
    /// Prepares a connection to `url`; nothing is sent yet.
    pub(super) fn open(url: &str) -> Result<Self, StoreError> {
        // The address is not repeated: it may hold a password, and in places that only a parser
        // that had understood it would know.
        let invalid = |error: redis::RedisError| StoreError::Address(error.to_string());
        let info = url.into_connection_info().map_err(invalid)?;
        let server = format!("{}/{}", info.addr(), info.redis_settings().db());
        let client = Client::open(info).map_err(invalid)?;
        let manager = Arc::new(Mutex::new(manager(&client).map_err(invalid)?));
        Ok(Self {
            manager,
            client,
            server,
        })
    }

    /// Host, port and database; no password.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Calls a script. `key` is the one that an error is most likely about, here as below.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
        key: &str,
    ) -> Result<T, StoreError> {
        let reply = call.invoke_async(&mut self.manager()).await;
        reply.map_err(|error| self.error(key, &error))
    }

    pub(super) async fn command<T: FromRedisValue>(
        &self,
        command: &Cmd,
        key: &str,
    ) -> Result<T, StoreError> {
        let reply = command.query_async(&mut self.manager()).await;
        reply.map_err(|error| self.error(key, &error))
    }

    pub(super) async fn pipeline<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
        key: &str,
    ) -> Result<T, StoreError> {
        let reply = pipeline.query_async(&mut self.manager()).await;
        reply.map_err(|error| self.error(key, &error))
    }

    /// Waits for at most `timeout` (a second or less) until `list` has an element, and takes it.
    /// Blocks the connection.
    pub(super) async fn wait_for(&self, list: &str, timeout: Duration) -> Result<(), StoreError> {
        let mut wait = redis::cmd("BLPOP");
        wait.arg(list).arg(timeout.as_secs_f64());
        let reply = wait.exec_async(&mut self.manager()).await;
        reply.map_err(|error| self.error(list, &error))
    }

    fn manager(&self) -> ConnectionManager {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionManager> {
        self.manager.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, key: &str, error: &redis::RedisError) -> StoreError {
        // A connection that answers no more may be dead without a sign of it, and the manager
        // would keep it.
        if error.is_timeout()
            && let Ok(fresh) = manager(&self.client)
        {
            *self.lock() = fresh;
        }
        StoreError::new(&self.server, key, error)
    }
}

/// A connection that is opened when it is first used.
fn manager(client: &Client) -> redis::RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_number_of_retries(0);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

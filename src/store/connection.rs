//! A shared connection to Redis, which is reopened after it breaks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisFuture, RedisResult,
    ScriptInvocation, Value, aio::ConnectionLike, cluster_async::ClusterConnection,
};
use tokio::{sync::Mutex, time::timeout};

use crate::store::{
    address::Address,
    connector::Connector,
    error::{self, StoreError},
    link::Link,
};

/// Longest time to open a connection, including the time to find the server.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection on which one call took more bytes than this is reopened, because its buffers never shrink.
const SWOLLEN: u64 = 4 << 20;

/// A connection that opens at its first use and reopens after it breaks. Clones share it.
///
/// It never repeats a call that failed: the loops do that, each with its own back-off.
#[derive(Clone)]
pub(super) struct Connection {
    address: Arc<Address>,
    server: Arc<str>,
    /// Whether Redis has ever answered at this address.
    answered: Arc<AtomicBool>,
    slot: Arc<Mutex<Slot>>,
}

#[derive(Default)]
struct Slot {
    link: Option<Open>,
    /// Number of the current link. A call that failed on an older link must not drop this one.
    number: u64,
}

/// An open connection.
#[derive(Clone)]
enum Open {
    Server(Link),
    Cluster(ClusterConnection<Link>),
}

impl Connection {
    /// Creates a connection to `address`. Sends nothing yet.
    pub(super) fn open(address: &Address) -> Self {
        Self {
            address: Arc::new(address.clone()),
            server: address.to_string().into(),
            answered: Arc::default(),
            slot: Arc::default(),
        }
    }

    /// Returns a separate connection to the same address.
    pub(super) fn another(&self) -> Self {
        Self {
            slot: Arc::default(),
            ..self.clone()
        }
    }

    /// Returns host, port and database, without the password.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Calls a script. `key` is the key that an error most likely concerns, here and below.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
        key: &str,
    ) -> Result<T, StoreError> {
        self.call(key, async |link| call.invoke_async(link).await)
            .await
    }

    /// Sends one command.
    pub(super) async fn command<T: FromRedisValue>(
        &self,
        command: &Cmd,
        key: &str,
    ) -> Result<T, StoreError> {
        self.call(key, async |link| command.query_async(link).await)
            .await
    }

    /// Sends several commands in one round trip.
    pub(super) async fn pipeline<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
        key: &str,
    ) -> Result<T, StoreError> {
        self.call(key, async |link| pipeline.query_async(link).await)
            .await
    }

    /// Calls `visit` for every field of a hash and its value. Reads about `page` fields at a time, because other
    /// clients wait while Redis reads. A failover meanwhile may leave out fields; the scripts judge by what Redis has.
    pub(super) async fn scan_hash<T: FromRedisValue>(
        &self,
        key: &str,
        page: usize,
        mut visit: impl FnMut(T, T),
    ) -> Result<(), StoreError> {
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(key).arg(cursor).arg("COUNT").arg(page);
            let (next, fields): (u64, Vec<(T, T)>) = self.command(&scan, key).await?;
            for (field, value) in fields {
                visit(field, value);
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// Waits until `list` has an element and removes it, or until `timeout` (a second at most) has passed.
    ///
    /// Blocks the connection.
    pub(super) async fn wait_for(&self, list: &str, timeout: Duration) -> Result<(), StoreError> {
        let wait = Cmd::blpop(list, timeout.as_secs_f64());
        self.command(&wait, list).await
    }

    async fn call<T>(
        &self,
        key: &str,
        send: impl AsyncFnOnce(&mut Open) -> RedisResult<T>,
    ) -> Result<T, StoreError> {
        // The timeout also covers waiting for another call that is opening the connection.
        let opened = match timeout(OPEN_TIMEOUT, self.link()).await {
            Ok(opened) => opened,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        };
        let (mut link, number) = opened.map_err(|error| self.error(key, &error))?;
        let passed = link.passed();
        let reply = send(&mut link).await;
        if reply.is_ok() {
            self.answered.store(true, Ordering::Relaxed);
        }
        let broken = reply.as_ref().is_err_and(error::is_of_the_connection);
        if broken || link.passed() - passed > SWOLLEN {
            let mut slot = self.slot.lock().await;
            if slot.number == number {
                slot.link = None;
            }
        }
        reply.map_err(|error| self.error(key, &error))
    }

    /// Converts an error. Until Redis has answered once, adds a hint if only one of the two sides may be using
    /// TLS.
    fn error(&self, key: &str, error: &RedisError) -> StoreError {
        let sorted = StoreError::new(&self.server, key, error);
        if self.answered.load(Ordering::Relaxed) {
            return sorted;
        }
        // A Redis without TLS waits for the end of a line, or answers the handshake in text.
        let is_plain = error.is_timeout() || error.to_string().contains("corrupt message");
        let hint = match self.address.uses_tls() {
            true if is_plain => {
                "if this port does not use TLS, the Redis URL must begin with `redis`, not `rediss`"
            }
            // A Redis with TLS closes a connection when it cannot read a handshake.
            false if error.kind() == ErrorKind::Parse || is_closed(error) => {
                "if this port uses TLS, the Redis URL must begin with `rediss`, not `redis`"
            }
            _ => return sorted,
        };
        match sorted {
            StoreError::Unavailable {
                server,
                reason,
                dropped,
            } => StoreError::Unavailable {
                server,
                reason: format!("{reason}; {hint}"),
                dropped,
            },
            other => other,
        }
    }

    /// Whether the connection is open and can be used without waiting.
    pub(super) fn is_open(&self) -> bool {
        self.slot.try_lock().is_ok_and(|slot| slot.link.is_some())
    }

    /// Makes the next call open a new connection.
    ///
    /// The current one may lead to an old master that does not know about the failover.
    pub(super) async fn reopen(&self) {
        self.slot.lock().await.link = None;
    }

    async fn link(&self) -> RedisResult<(Open, u64)> {
        let mut slot = self.slot.lock().await;
        if let Some(link) = &slot.link {
            return Ok((link.clone(), slot.number));
        }
        // Boxed, because the future is large and every call would reserve space for it.
        let link = Box::pin(self.address.connector()?.connect()).await?;
        slot.number += 1;
        Ok((slot.link.insert(link).clone(), slot.number))
    }
}

/// Whether the server closed a connection after accepting it.
fn is_closed(error: &RedisError) -> bool {
    let text = error.to_string();
    error.is_connection_dropped() && ["reset", "end of file"].iter().any(|it| text.contains(it))
}

impl Connector {
    async fn connect(self) -> RedisResult<Open> {
        Ok(match self {
            Self::Server(info, tls) => Open::Server(Link::open(&info, tls.as_ref()).await?),
            Self::Sentinel(mut client, tls) => {
                let master = client.async_get_client().await?;
                let info = master.get_connection_info();
                Open::Server(Link::open(info, tls.as_ref()).await?)
            }
            Self::Cluster(client) => Open::Cluster(client.get_async_generic_connection().await?),
        })
    }
}

impl Open {
    /// Bytes sent and received so far; always 0 for a cluster, which does not count them.
    fn passed(&self) -> u64 {
        match self {
            Self::Server(link) => link.passed(),
            Self::Cluster(_) => 0,
        }
    }
}

impl ConnectionLike for Open {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(it) => it.req_packed_command(cmd),
            Self::Cluster(it) => it.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(it) => it.req_packed_commands(cmd, offset, count),
            Self::Cluster(it) => it.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(it) => it.get_db(),
            Self::Cluster(it) => it.get_db(),
        }
    }
}

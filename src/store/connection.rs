//! The connection to Redis: timeouts, and opening it again.

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

/// How long opening a connection may take, with all that it takes to find the server.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// After a call that took more bytes than this, the connection is opened again: its buffers never shrink.
const SWOLLEN: u64 = 4 << 20;

/// A shared connection that is opened when it is first used, and again after it broke. A call that
/// fails is never repeated here: the loops do so, at their own pace.
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
    /// Counts the links, so that a call that failed on an old one doesn't drop a newer.
    number: u64,
}

/// An open connection.
#[derive(Clone)]
enum Open {
    Server(Link),
    Cluster(ClusterConnection<Link>),
}

impl Connection {
    /// Prepares a connection to `address`; nothing is sent yet.
    pub(super) fn open(address: &Address) -> Self {
        Self {
            address: Arc::new(address.clone()),
            server: address.to_string().into(),
            answered: Arc::default(),
            slot: Arc::default(),
        }
    }

    /// Another connection to the same address.
    pub(super) fn another(&self) -> Self {
        Self {
            slot: Arc::default(),
            ..self.clone()
        }
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

    /// Waits for at most `timeout` (a second or less) until `list` has an element, and takes it.
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
        // Those that wait here while another opens the connection don't wait longer than it does.
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

    /// Sorts an error; until Redis has answered once, with a hint if the two sides may disagree about TLS.
    fn error(&self, key: &str, error: &RedisError) -> StoreError {
        let sorted = StoreError::new(&self.server, key, error);
        if self.answered.load(Ordering::Relaxed) {
            return sorted;
        }
        // A Redis without TLS waits for the end of a line, or answers in text.
        let is_plain = error.is_timeout() || error.to_string().contains("corrupt message");
        let hint = match self.address.uses_tls() {
            true if is_plain => {
                "if this port does not use TLS, the Redis URL must begin with `redis`, not `rediss`"
            }
            // A Redis with TLS closes a connection on which it understands nothing.
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

    /// Whether a call would find an open connection, and need not wait for one.
    pub(super) fn is_open(&self) -> bool {
        self.slot.try_lock().is_ok_and(|slot| slot.link.is_some())
    }

    /// Opens another connection for the next call: this one may lead to a server that is not the
    /// master any more, and doesn't know it.
    pub(super) async fn reopen(&self) {
        self.slot.lock().await.link = None;
    }

    async fn link(&self) -> RedisResult<(Open, u64)> {
        let mut slot = self.slot.lock().await;
        if let Some(link) = &slot.link {
            return Ok((link.clone(), slot.number));
        }
        // On the heap: it is large, and each call has room for it.
        let link = Box::pin(self.address.connector()?.connect()).await?;
        slot.number += 1;
        Ok((slot.link.insert(link).clone(), slot.number))
    }
}

/// Whether the server closed a connection that it had accepted.
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
    /// How many bytes have passed; of a cluster's connections that is not known.
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

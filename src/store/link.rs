//! One open connection to a server. It fails when the server is silent for too long.
//!
//! The time for a whole reply is not limited in the same way, because a large reply on a slow network may take
//! longer than any reasonable timeout for a small one.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    Pipeline, RedisConnectionInfo, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster_async::Connect,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpSocket, TcpStream, UnixStream, lookup_host},
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    clock::{Clock as _, SystemClock},
    store::tls::TlsConfig,
};

/// Longest time to connect to a server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest silence of a server while a reply is due.
const SILENCE: Duration = Duration::from_secs(2);
/// The same two limits for a node of a cluster. They are shorter, because opening a cluster connection waits twice
/// for each node that hangs.
pub(super) const NODE_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest time for a whole reply, even if bytes keep arriving.
const WHOLE: Duration = Duration::from_secs(600);
/// The same in a cluster, where the client may also wait for other things.
pub(super) const CLUSTER_WHOLE: Duration = Duration::from_secs(60);
/// Size of the kernel's send buffer in bytes (Linux doubles it). While the kernel keeps taking more bytes than
/// this, the other side is receiving them, so the connection is alive.
const SEND_BUFFER: u32 = 128 << 10;
/// Maximum number of sent bytes that may still be in buffers here and on the network. The server cannot answer
/// before they arrive, so the timeout is extended by the time that they need at `SLOWEST` bytes per second.
const ON_THE_WAY: u64 = 1 << 20;
const SLOWEST: u64 = 128 << 10;

/// An open connection to one server. Clones share it. It closes when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Link {
    connection: MultiplexedConnection,
    life: Arc<Life>,
    /// Longest silence of the server; `None`: the connection has a timeout for whole replies instead.
    silence: Option<Duration>,
    _driver: Option<Arc<AbortOnDropHandle<()>>>,
}

impl Link {
    /// Opens a connection to a server. `tls` is required if `info` asks for TLS.
    pub(super) async fn open(info: &ConnectionInfo, tls: Option<&TlsConfig>) -> RedisResult<Self> {
        Self::within(CONNECT_TIMEOUT, SILENCE, info, tls).await
    }

    async fn within(
        connect: Duration,
        silence: Duration,
        info: &ConnectionInfo,
        tls: Option<&TlsConfig>,
    ) -> RedisResult<Self> {
        let settings = info.redis_settings();
        let opened = timeout(connect, async {
            match (info.addr(), tls) {
                (ConnectionAddr::Unix(path), _) => {
                    Self::on(UnixStream::connect(path).await?, settings, silence).await
                }
                (ConnectionAddr::TcpTls { host, port, .. }, Some(tls)) => {
                    let stream = tcp(host, *port).await?;
                    let name = host.clone().try_into().map_err(io::Error::other)?;
                    let tls = TlsConnector::from(Arc::clone(tls));
                    Self::on(tls.connect(name, stream).await?, settings, silence).await
                }
                (ConnectionAddr::Tcp(host, port), _) => {
                    Self::on(tcp(host, *port).await?, settings, silence).await
                }
                _ => Err(io::Error::from(io::ErrorKind::Unsupported).into()),
            }
        });
        opened.await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// Performs the Redis handshake on `stream`.
    #[expect(
        clippy::disallowed_methods,
        reason = "this task has nothing to tell: it ends with its connection, and so does its error"
    )]
    async fn on(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        settings: &RedisConnectionInfo,
        silence: Duration,
    ) -> RedisResult<Self> {
        let life = Arc::new(Life::default());
        let stream = Watched {
            stream,
            life: Arc::clone(&life),
        };
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(WHOLE));
        let (connection, driver) =
            MultiplexedConnection::new_with_config(settings, stream, config).await?;
        Ok(Self {
            connection,
            life,
            silence: Some(silence),
            _driver: Some(Arc::new(AbortOnDropHandle::new(tokio::spawn(driver)))),
        })
    }

    /// Bytes sent and received so far.
    pub(super) fn passed(&self) -> u64 {
        self.life.passed.load(Relaxed)
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failed = io::ErrorKind::NotFound.into();
    for address in lookup_host((host, port)).await? {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Without this, the second part of a request would wait until the first is acknowledged.
        socket.set_nodelay(true)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        match socket.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn timed_out() -> redis::RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

/// Opens the connections of the cluster client to its nodes.
///
/// The client does not pass its TLS configuration on. With TLS, it therefore opens the connections itself, with a
/// timeout for whole replies.
impl Connect for Link {
    fn connect_with_config<'a, T>(info: T, config: AsyncConnectionConfig) -> RedisFuture<'a, Self>
    where
        T: IntoConnectionInfo + Send + 'a,
    {
        Box::pin(async move {
            let info = info.into_connection_info()?;
            if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
                return Self::within(NODE_TIMEOUT, NODE_TIMEOUT, &info, None).await;
            }
            let config = config.set_response_timeout(Some(NODE_TIMEOUT));
            let client = Client::open(info)?;
            Ok(Self {
                connection: client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await?,
                life: Arc::default(),
                silence: None,
                _driver: None,
            })
        })
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let reply = self.connection.req_packed_command(cmd);
        Box::pin(unless_silent(&self.life, self.silence, reply))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let reply = self.connection.req_packed_commands(cmd, offset, count);
        Box::pin(unless_silent(&self.life, self.silence, reply))
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

/// Waits for `reply`. Fails if the server is silent for longer than `silence`.
async fn unless_silent<T>(
    life: &Life,
    silence: Option<Duration>,
    reply: RedisFuture<'_, T>,
) -> RedisResult<T> {
    let Some(silence) = silence else {
        return reply.await;
    };
    tokio::select! {
        biased;
        reply = reply => reply,
        () = life.silent_for(silence) => Err(timed_out()),
    }
}

/// Signs of life of a connection.
#[derive(Default)]
struct Life {
    /// Bytes sent and received.
    passed: AtomicU64,
    /// Bytes sent since the server last sent any.
    unanswered: AtomicU64,
    /// When a byte was last sent or received.
    last: Mutex<Option<Instant>>,
}

impl Life {
    fn received(&self, bytes: usize) {
        self.unanswered.store(0, Relaxed);
        self.note(bytes);
    }

    fn sent(&self, bytes: usize) {
        self.unanswered.fetch_add(bytes as u64, Relaxed);
        self.note(bytes);
    }

    fn note(&self, bytes: usize) {
        self.passed.fetch_add(bytes as u64, Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(SystemClock.monotonic());
    }

    /// Waits until no byte has been sent or received for `silence`, beginning now.
    async fn silent_for(&self, silence: Duration) {
        let asked = SystemClock.monotonic();
        let mut left = silence;
        while !left.is_zero() {
            sleep(left).await;
            let on_the_way = self.unanswered.load(Relaxed).min(ON_THE_WAY);
            let silence = silence + Duration::from_millis(on_the_way * 1000 / SLOWEST);
            let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let since = last.map_or(asked, |last| last.max(asked));
            left = silence.saturating_sub(SystemClock.monotonic().duration_since(since));
        }
    }
}

/// A stream that records its traffic in `life`.
struct Watched<S> {
    stream: S,
    life: Arc<Life>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        if read > 0 {
            self.life.received(read);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = polled {
            self.life.sent(written);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

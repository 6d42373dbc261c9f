//! One open connection to a server, which is given up when the server is silent, however long a whole
//! reply takes: a large one on a slow network may take longer than any timeout for a small one.

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

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a server may be silent while a reply is due.
const SILENCE: Duration = Duration::from_secs(2);
/// How long a cluster's node may take for either: while a connection is opened, each node that
/// hangs is waited for twice.
pub(super) const NODE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a whole reply may take, however slowly it arrives.
const WHOLE: Duration = Duration::from_secs(600);
/// The same in a cluster, whose client may wait for other things.
pub(super) const CLUSTER_WHOLE: Duration = Duration::from_secs(60);
/// How many bytes the kernel takes from us before the other side has received them (Linux allows twice as
/// many). While it takes more, the connection is alive.
const SEND_BUFFER: u32 = 128 << 10;
/// So many of the bytes that were sent may still be on their way, in buffers here and between, and the server
/// cannot answer before they have arrived. They travel at least at this speed, in bytes per second.
const ON_THE_WAY: u64 = 1 << 20;
const SLOWEST: u64 = 128 << 10;

/// An open connection to one server. Clones share it; when the last one is dropped, it is closed.
#[derive(Clone)]
pub(super) struct Link {
    connection: MultiplexedConnection,
    life: Arc<Life>,
    /// How long the server may be silent; `None`: the connection has a timeout for whole replies.
    silence: Option<Duration>,
    _driver: Option<Arc<AbortOnDropHandle<()>>>,
}

impl Link {
    /// Opens a connection to a server. `tls` is needed if `info` asks for TLS.
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

    /// Begins to speak on `stream`.
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

    /// How many bytes have passed, in both directions.
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
        // A request that is written in parts must not wait for the acknowledgement of the first.
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

/// A cluster's client opens the connections to its nodes by this. It does not say how TLS is set up, so
/// that nodes with TLS have the client's own connection, and its timeout for whole replies.
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

/// Waits for `reply` until the server is silent for longer than `silence`.
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
    /// Bytes in both directions.
    passed: AtomicU64,
    /// Bytes that were sent since the server last sent any.
    unanswered: AtomicU64,
    /// When bytes passed last.
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

    /// Waits until nothing has passed for `silence`, from now on.
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

/// A stream that takes note of what passes.
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

//! A network between the program and a server, which the test can break.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::Redis;

/// Forwards bytes between the clients of its socket and a server, one server connection per client.
pub struct Proxy {
    folder: tempfile::TempDir,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Path of the server for new connections.
    server: Mutex<String>,
    connections: Mutex<Vec<Arc<Pair>>>,
    /// Whether new connections are silent from the start.
    isolated: AtomicBool,
    /// Number of replies to scripts that are still to be lost.
    to_lose: AtomicUsize,
    lost: AtomicUsize,
    traffic: Mutex<Traffic>,
    /// Maximum bytes per second, of all connections and both directions together; 0: no limit.
    bandwidth: AtomicUsize,
    /// A connection that sends more bytes than this before a reply becomes silent; 0: no limit.
    longest_request: AtomicUsize,
    /// Locked while bytes are being transferred.
    line: Mutex<()>,
}

/// Traffic that a proxy has forwarded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traffic {
    /// Requests that were the first of their connection or came after a reply.
    pub round_trips: usize,
    /// Bytes to the server.
    pub sent: usize,
    /// Bytes to the client.
    pub received: usize,
}

/// The two streams of one connection.
struct Pair {
    client: UnixStream,
    server: UnixStream,
    silent: AtomicBool,
    /// Whether the next bytes from the server are dropped and the connection is closed.
    doomed: AtomicBool,
    /// Whether the lease was taken or renewed through this connection.
    leadership: AtomicBool,
    /// Whether the server sent the last bytes, or nothing was sent yet.
    answered: AtomicBool,
    /// Bytes from the client since the last bytes from the server.
    unanswered: AtomicUsize,
}

impl Proxy {
    pub fn to(redis: &Redis) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("proxy.sock")).unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // If the server is down, the connection is closed.
                let server = shared.server.lock().unwrap().clone();
                if let Ok(server) = UnixStream::connect(server) {
                    shared.accept(client, server);
                }
            }
        });
        let proxy = Self { folder, state };
        proxy.lead_to(redis);
        proxy
    }

    /// Makes new connections lead to this server. Existing connections stay.
    pub fn lead_to(&self, redis: &Redis) {
        let path = redis.url().trim_start_matches("unix://");
        path.clone_into(&mut self.state.server.lock().unwrap());
    }

    /// Closes the connections through which the lease was taken or renewed.
    pub fn cut_leadership(&self) {
        for pair in self.state.open() {
            if pair.leadership.load(Ordering::SeqCst) {
                pair.close();
            }
        }
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.folder.path().join("proxy.sock").display())
    }

    /// Makes existing connections forward nothing from now on. They stay open.
    pub fn silence(&self) {
        for pair in self.state.open() {
            pair.silent.store(true, Ordering::SeqCst);
        }
    }

    /// Silences all existing and new connections, or ends that: closes all connections and forwards new ones
    /// again.
    pub fn isolate(&self, isolated: bool) {
        self.state.isolated.store(isolated, Ordering::SeqCst);
        if isolated {
            self.silence();
        } else {
            self.cut();
        }
    }

    /// Closes all connections immediately.
    pub fn cut(&self) {
        for pair in self.state.open() {
            pair.close();
        }
    }

    /// Forwards the next `count` script calls, but drops their replies and closes the connections.
    pub fn lose_replies(&self, count: usize) {
        self.state.to_lose.store(count, Ordering::SeqCst);
    }

    /// Returns the traffic since the last call.
    pub fn traffic(&self) -> Traffic {
        std::mem::take(&mut *self.state.traffic.lock().unwrap())
    }

    /// Limits the bytes per second of all connections together; 0: no limit.
    pub fn limit(&self, bytes_per_second: usize) {
        self.state
            .bandwidth
            .store(bytes_per_second, Ordering::SeqCst);
    }

    /// Silences each connection that sends more than `bytes` before a reply, as if the request took too long; 0:
    /// no limit.
    pub fn swallow_requests_of(&self, bytes: usize) {
        self.state.longest_request.store(bytes, Ordering::SeqCst);
    }

    /// Returns the number of lost replies.
    pub fn lost(&self) -> usize {
        self.state.lost.load(Ordering::SeqCst)
    }
}

impl State {
    fn accept(self: &Arc<Self>, client: UnixStream, server: UnixStream) {
        let pair = Arc::new(Pair {
            client,
            server,
            silent: AtomicBool::new(self.isolated.load(Ordering::SeqCst)),
            doomed: AtomicBool::new(false),
            leadership: AtomicBool::new(false),
            answered: AtomicBool::new(true),
            unanswered: AtomicUsize::new(0),
        });
        self.connections.lock().unwrap().push(Arc::clone(&pair));
        let (state, requests) = (Arc::clone(self), Arc::clone(&pair));
        thread::spawn(move || state.pass_requests(&requests));
        let state = Arc::clone(self);
        thread::spawn(move || state.pass_replies(&pair));
    }

    fn open(&self) -> Vec<Arc<Pair>> {
        self.connections.lock().unwrap().clone()
    }

    fn pass_requests(&self, pair: &Pair) {
        let mut buffer = vec![0; 65536];
        while let Ok(read @ 1..) = (&pair.client).read(&mut buffer) {
            let request = &buffer[..read];
            let unanswered = read + pair.unanswered.fetch_add(read, Ordering::SeqCst);
            let longest = self.longest_request.load(Ordering::SeqCst);
            if longest > 0 && unanswered > longest {
                pair.silent.store(true, Ordering::SeqCst);
            }
            if pair.silent.load(Ordering::SeqCst) {
                continue;
            }
            let names = |word: &[u8]| request.windows(word.len()).any(|it| it == word);
            if names(b"rescue_scheduler:token") {
                pair.leadership.store(true, Ordering::SeqCst);
            }
            if names(b"EVALSHA") {
                let to_lose = &self.to_lose;
                let take = |left: usize| left.checked_sub(1);
                if to_lose
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
                    .is_ok()
                {
                    pair.doomed.store(true, Ordering::SeqCst);
                }
            }
            let mut traffic = self.traffic.lock().unwrap();
            traffic.sent += read;
            traffic.round_trips += usize::from(pair.answered.swap(false, Ordering::SeqCst));
            drop(traffic);
            self.take_time(read);
            if (&pair.server).write_all(request).is_err() {
                break;
            }
        }
        self.forget(pair);
    }

    fn pass_replies(&self, pair: &Pair) {
        let mut buffer = vec![0; 65536];
        while let Ok(read @ 1..) = (&pair.server).read(&mut buffer) {
            if pair.doomed.load(Ordering::SeqCst) {
                self.lost.fetch_add(1, Ordering::SeqCst);
                break;
            }
            self.traffic.lock().unwrap().received += read;
            pair.answered.store(true, Ordering::SeqCst);
            pair.unanswered.store(0, Ordering::SeqCst);
            self.take_time(read);
            let silent = pair.silent.load(Ordering::SeqCst);
            if !silent && (&pair.client).write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        self.forget(pair);
    }

    /// Sleeps for the time that `bytes` need at the current bandwidth.
    fn take_time(&self, bytes: usize) {
        let bandwidth = self.bandwidth.load(Ordering::SeqCst);
        if let Some(nanos) = (bytes * 1_000_000_000).checked_div(bandwidth) {
            let _line = self.line.lock().unwrap();
            thread::sleep(Duration::from_nanos(nanos.try_into().unwrap()));
        }
    }

    fn forget(&self, pair: &Pair) {
        pair.close();
        let mut open = self.connections.lock().unwrap();
        open.retain(|it| !std::ptr::eq(it.as_ref(), pair));
    }
}

impl Pair {
    fn close(&self) {
        // An error means that the stream is already closed.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

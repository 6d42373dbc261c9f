//! A network between the program and a server, which breaks when it is told to.

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

/// Passes bytes on between clients of its socket and a server, each connection by itself.
pub struct Proxy {
    folder: tempfile::TempDir,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Path of the server that new connections lead to.
    server: Mutex<String>,
    connections: Mutex<Vec<Arc<Pair>>>,
    /// New connections are silent from their start.
    isolated: AtomicBool,
    /// So many replies to scripts are still to be lost.
    to_lose: AtomicUsize,
    lost: AtomicUsize,
    traffic: Mutex<Traffic>,
    /// Bytes per second that pass in all, both ways together; 0 is no limit.
    bandwidth: AtomicUsize,
    /// A connection that sends more bytes than this for one reply is silent from then on; 0 is no limit.
    longest_request: AtomicUsize,
    /// Held while bytes are on the line.
    line: Mutex<()>,
}

/// What has passed through a network.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traffic {
    /// Requests that followed a reply, or were the first of their connection.
    pub round_trips: usize,
    /// Bytes to the server.
    pub sent: usize,
    /// Bytes to the client.
    pub received: usize,
}

/// Both ends of one connection.
struct Pair {
    client: UnixStream,
    server: UnixStream,
    silent: AtomicBool,
    /// The next bytes of the server are lost, and the connection with them.
    doomed: AtomicBool,
    /// The lease was taken or renewed through it.
    leadership: AtomicBool,
    /// The server has spoken last, or nobody has.
    answered: AtomicBool,
    /// How many bytes the client has sent since the server has spoken.
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
                // A server that is not there closes the connection.
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

    /// New connections lead to this server from now on; the others stay where they are.
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

    /// From now on nothing passes through the connections that there are; none is closed.
    pub fn silence(&self) {
        for pair in self.state.open() {
            pair.silent.store(true, Ordering::SeqCst);
        }
    }

    /// Silences all connections and those to come; or lets new ones through again, and closes the old
    /// ones.
    pub fn isolate(&self, isolated: bool) {
        self.state.isolated.store(isolated, Ordering::SeqCst);
        if isolated {
            self.silence();
        } else {
            self.cut();
        }
    }

    /// Closes all connections, whatever is under way in them.
    pub fn cut(&self) {
        for pair in self.state.open() {
            pair.close();
        }
    }

    /// The next `count` scripts reach the server, and their replies are lost with the connection.
    pub fn lose_replies(&self, count: usize) {
        self.state.to_lose.store(count, Ordering::SeqCst);
    }

    /// What has passed since it was asked last.
    pub fn traffic(&self) -> Traffic {
        std::mem::take(&mut *self.state.traffic.lock().unwrap())
    }

    /// From now on, so many bytes per second pass through all connections together; 0 is no limit.
    pub fn limit(&self, bytes_per_second: usize) {
        self.state
            .bandwidth
            .store(bytes_per_second, Ordering::SeqCst);
    }

    /// From now on, a connection that sends more bytes than this for one reply falls silent, as if they took too
    /// long; 0 is no limit.
    pub fn swallow_requests_of(&self, bytes: usize) {
        self.state.longest_request.store(bytes, Ordering::SeqCst);
    }

    /// How many replies were lost.
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

    /// Takes as long as so many bytes take on this line.
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
        // One that is closed already is what was wanted.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

//! Connections that break, and the way back.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::harness::{Program, Redis, eventually};

/// Stands between the program and a server. What [`Self::silence`] was told of is swallowed; new
/// connections work.
struct Proxy {
    socket: PathBuf,
    _folder: tempfile::TempDir,
    accepted: Arc<AtomicUsize>,
    silenced: Arc<AtomicUsize>,
}

impl Proxy {
    fn to(redis: &Redis) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("proxy.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = redis.url().trim_start_matches("unix://").to_owned();
        let (accepted, silenced) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (count, limit) = (Arc::clone(&accepted), Arc::clone(&silenced));
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { break };
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                let server = UnixStream::connect(&server).unwrap();
                let backwards = (server.try_clone().unwrap(), client.try_clone().unwrap());
                for (from, to) in [(client, server), backwards] {
                    let limit = Arc::clone(&limit);
                    thread::spawn(move || pass_on(from, to, number, &limit));
                }
            }
        });
        Self {
            socket,
            _folder: folder,
            accepted,
            silenced,
        }
    }

    fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// From now on nothing passes through the connections that there are; none is closed.
    fn silence(&self) {
        self.silenced
            .store(self.accepted.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

fn pass_on(mut from: UnixStream, mut to: UnixStream, number: usize, silenced: &AtomicUsize) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if number > silenced.load(Ordering::SeqCst) && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
}

#[test]
fn a_connection_that_is_dead_without_a_sign_is_replaced() {
    let mut redis = Redis::start();
    let proxy = Proxy::to(&redis);
    let schedule = "[schedule.t]\nevery = \"1s\"\nqueue = \"q\"\n";
    let program = Program::new()
        .args(["--redis-url", &proxy.url()])
        .schedule(schedule);
    let scheduler = program.start();
    scheduler.wait_for("fired entry=");
    proxy.silence();
    scheduler
        .wait_for("can't use Redis")
        .wait_for("Redis is back");
    let fired = redis.queue("q").len();
    eventually(|| match redis.queue("q").len() {
        more if more > fired => Ok(()),
        _ => Err(scheduler.log()),
    });
}

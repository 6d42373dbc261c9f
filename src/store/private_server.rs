//! A redis-server of our own, for `--dev`, tests and benchmarks: private, nothing kept.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// Where a [`PrivateServer`] listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// On a free TCP port of the loopback interface.
    Port,
    /// On a unix socket in its own folder.
    Socket,
}

/// A shell script that ends the server and removes its folder if our process is killed. `read` returns when the
/// other end of its pipe closes, and only our process holds that end.
const WATCH: &str = r#"read -r _; kill -9 "$1"; rm -rf "$2""#;

/// A `redis-server` process with its data in a temporary folder. Both end when it is dropped, and also
/// when our process is killed.
#[derive(Debug)]
pub struct PrivateServer {
    command: Command,
    process: Child,
    watch: Child,
    folder: TempDir,
    url: String,
}

impl PrivateServer {
    /// Starts `redis-server` (found on `PATH`) and returns once it accepts connections.
    ///
    /// # Errors
    /// Where the program is not installed, or does not come up; says how to mend it.
    pub fn start(listen: Listen) -> io::Result<Self> {
        Self::launch("redis-server", listen, &[])
    }

    /// The same with a program that is as `redis-server` is, and more options for it.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn launch(
        program: impl AsRef<OsStr>,
        listen: Listen,
        options: &[&str],
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("rescue-scheduler-")
            .tempdir()?;
        let mut command = Command::new(program);
        command
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Ctrl-C is for us, who need the server to stop in order.
            .process_group(0);
        let url = match listen {
            Listen::Port => {
                let port = free_port()?;
                command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
                format!("redis://127.0.0.1:{port}/0")
            }
            Listen::Socket => {
                let socket = folder.path().join("redis.sock");
                command.args(["--port", "0", "--unixsocket"]).arg(&socket);
                format!("unix://{}", socket.display())
            }
        };
        let process = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => io::Error::new(
                io::ErrorKind::NotFound,
                "redis-server is not installed (apt-get install redis-server, or brew install redis)",
            ),
            _ => error,
        })?;
        let watch = watch(&process, folder.path())?;
        let mut server = Self {
            command,
            process,
            watch,
            folder,
            url,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Errors
    /// None that is expected.
    pub fn kill(&mut self) -> io::Result<()> {
        // First, for it would kill whoever has the server's process number later.
        self.watch.kill()?;
        self.watch.wait()?;
        self.process.kill()?;
        self.process.wait().map(drop)
    }

    /// Starts it again after [`Self::kill`], at the same place, with the data that it had written to
    /// its folder.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn revive(&mut self) -> io::Result<()> {
        self.process = self.command.spawn()?;
        self.watch = watch(&self.process, self.folder.path())?;
        self.wait_until_ready()
    }

    /// Reads the server's log up to the line that says it is ready; what follows is not wanted
    /// (redis-server ignores SIGPIPE).
    fn wait_until_ready(&mut self) -> io::Result<()> {
        let log = self
            .process
            .stdout
            .take()
            .into_iter()
            .flat_map(|log| BufReader::new(log).lines());
        let mut last_line = String::new();
        for line in log {
            last_line = line?;
            if last_line.contains("eady to accept connections") {
                return Ok(());
            }
        }
        Err(io::Error::other(format!(
            "redis-server did not start: {last_line}"
        )))
    }

    /// Its address, as `--redis-url` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder that holds its data, and goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        // It keeps nothing, so there is nothing to say goodbye to; a failure means it is gone.
        let _ = self.kill();
    }
}

fn watch(process: &Child, folder: &Path) -> io::Result<Child> {
    let mut watch = Command::new("sh");
    watch
        .args(["-c", WATCH, "watch", &process.id().to_string()])
        .arg(folder);
    watch
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
}

/// A port that nobody listened on a moment ago.
///
/// # Errors
/// Where the loopback interface has none.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

//! A private redis-server for `--dev`, tests and benchmarks. It stores nothing permanently.

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
    /// On a unix socket in the server's folder.
    Socket,
}

/// A shell script that kills the server and removes its folder when our process ends.
///
/// `read` returns when the other end of its pipe is closed, and only our process holds that end.
const WATCH: &str = r#"read -r _; kill -9 "$1"; rm -rf "$2""#;

/// A `redis-server` process with its data in a temporary folder.
///
/// The process is killed and the folder removed when the value is dropped or our process is killed.
#[derive(Debug)]
pub struct PrivateServer {
    command: Command,
    process: Child,
    watch: Child,
    folder: TempDir,
    url: String,
}

impl PrivateServer {
    /// Starts `redis-server` from `PATH` and waits until it accepts connections.
    ///
    /// # Errors
    /// If the program is not installed or does not start. The message says what to do.
    pub fn start(listen: Listen) -> io::Result<Self> {
        Self::launch("redis-server", listen, &[])
    }

    /// Starts `program`, which must accept the options of `redis-server`, with additional `options`.
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
            // Ctrl-C must not reach the server: the scheduler still needs it while it stops.
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

    /// Kills the server with SIGKILL.
    ///
    /// # Errors
    /// If the system refuses. It is not expected to.
    pub fn kill(&mut self) -> io::Result<()> {
        // First, because the watch would later kill whatever process has the server's ID by then.
        self.watch.kill()?;
        self.watch.wait()?;
        self.process.kill()?;
        self.process.wait().map(drop)
    }

    /// Starts the server again after [`Self::kill`], at the same address, with the data in its folder.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn revive(&mut self) -> io::Result<()> {
        self.process = self.command.spawn()?;
        self.watch = watch(&self.process, self.folder.path())?;
        self.wait_until_ready()
    }

    /// Reads the server's log up to the line that says it is ready.
    ///
    /// The rest of the log is not read. redis-server ignores SIGPIPE, so closing the pipe does not stop it.
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

    /// Returns the server's URL, as `--redis-url` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the folder that holds the server's data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the server's process ID.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        // If this fails, the server is already gone.
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

/// Returns a TCP port of the loopback interface that was free a moment ago.
///
/// # Errors
/// If no port is free.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

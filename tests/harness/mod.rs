//! What integration tests share: a private redis-server and the real program.

mod delayed;
pub mod proxy;
pub mod ruby;
pub mod ticks;

use std::{
    fmt, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

pub use delayed::{delay, item, payload};
use nix::{sys::signal, unistd::Pid};
use redis::{Commands, Connection};
use rescue_scheduler::store::{Listen, PrivateServer};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// A test fails if it waits longer than this for a state.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The leader's lock.
pub const LOCK: &str = "resque:resque:resque_scheduler_master_lock";

/// List of quarantined delayed items.
pub const QUARANTINE: &str = "resque:rescue_scheduler:quarantine";

/// A private redis-server, and a connection to it.
pub struct Redis {
    server: PrivateServer,
    pub connection: Connection,
}

impl Redis {
    pub fn start() -> Self {
        Self::on(Listen::Socket)
    }

    /// Starts a server on a TCP port, for clients that do not support unix sockets.
    pub fn on_port() -> Self {
        Self::on(Listen::Port)
    }

    /// Starts a server with additional options, on a unix socket.
    pub fn with(options: &[&str]) -> Self {
        Self::of("redis-server", options)
    }

    /// Starts another program as the server, on a unix socket.
    pub fn of(program: impl AsRef<std::ffi::OsStr>, options: &[&str]) -> Self {
        Self::new(PrivateServer::launch(program, Listen::Socket, options).unwrap())
    }

    fn on(listen: Listen) -> Self {
        Self::new(PrivateServer::start(listen).unwrap())
    }

    pub fn new(server: PrivateServer) -> Self {
        let connection = connect(server.url());
        Self { server, connection }
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        self.server.kill().unwrap();
    }

    /// Starts the killed server again.
    pub fn revive(&mut self) {
        self.server.revive().unwrap();
        self.connection = connect(self.server.url());
    }

    /// Sends a command, given as words separated by spaces. Ignores the reply, but not an error.
    #[track_caller]
    pub fn command(&mut self, words: &str) {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        command.exec(&mut self.connection).unwrap();
    }

    /// Returns how many commands the server has processed, including those of scripts.
    pub fn commands_processed(&mut self) -> u64 {
        let info: String = redis::cmd("INFO")
            .arg("stats")
            .query(&mut self.connection)
            .unwrap();
        let mut lines = info.lines();
        let count = lines.find_map(|it| it.strip_prefix("total_commands_processed:"));
        count.unwrap().parse().unwrap()
    }

    /// Opens another connection.
    pub fn connect(&self) -> Connection {
        connect(self.url())
    }

    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// Returns the port of a server that [`Self::on_port`] started.
    pub fn port(&self) -> String {
        let (_, port) = self.url().trim_end_matches("/0").rsplit_once(':').unwrap();
        port.to_owned()
    }

    /// Sends a signal to the server, for example to stop and to continue it.
    pub fn signal(&self, signal: signal::Signal) {
        send(self.server.pid(), signal);
    }

    /// Writes keys in the form of the wire vectors: `{key: {"type", "value"}}`.
    pub fn seed(&mut self, keys: &Value) {
        for (key, entry) in keys.as_object().into_iter().flatten() {
            let value = &entry["value"];
            for element in value.as_array().into_iter().flatten() {
                let redis = &mut self.connection;
                let seeded: redis::RedisResult<()> = match entry["type"].as_str().unwrap() {
                    "list" => redis.rpush(key, text(element)),
                    "set" => redis.sadd(key, text(element)),
                    "zset" => redis.zadd(key, text(&element[0]), element[1].as_f64().unwrap()),
                    other => panic!("can't seed a {other}"),
                };
                seeded.unwrap();
            }
        }
    }

    /// Returns all keys except our own, in the form of the wire vectors.
    pub fn dump(&mut self) -> Value {
        let mut keys: Vec<String> = self.connection.keys("*").unwrap();
        keys.retain(|key| !key.contains(":rescue_scheduler:"));
        keys.sort_unstable();
        let dumped = keys.into_iter().map(|key| {
            let kind: String = redis::cmd("TYPE")
                .arg(&key)
                .query(&mut self.connection)
                .unwrap();
            let value = self.value(&key, &kind);
            (key, json!({ "type": kind, "value": value }))
        });
        Value::Object(dumped.collect())
    }

    fn value(&mut self, key: &str, kind: &str) -> Value {
        let redis = &mut self.connection;
        match kind {
            "list" => redis.lrange::<_, Vec<String>>(key, 0, -1).unwrap().into(),
            "string" => redis.get::<_, String>(key).unwrap().into(),
            "set" => {
                let mut members: Vec<String> = redis.smembers(key).unwrap();
                members.sort_unstable();
                members.into()
            }
            "zset" => {
                let members: Vec<(String, f64)> = redis.zrange_withscores(key, 0, -1).unwrap();
                #[expect(clippy::cast_possible_truncation, reason = "scores are timestamps")]
                let pair = |(member, score)| json!([member, score as i64]);
                members.into_iter().map(pair).collect()
            }
            "hash" => {
                let fields: Vec<(String, String)> = redis.hgetall(key).unwrap();
                let fields = fields
                    .into_iter()
                    .map(|(field, value)| (field, value.into()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
            other => panic!("{key} is a {other}"),
        }
    }

    /// Returns the payloads in a queue of the namespace `resque`.
    pub fn queue(&mut self, name: &str) -> Vec<String> {
        self.connection
            .lrange(format!("resque:queue:{name}"), 0, -1)
            .unwrap()
    }
}

fn connect(url: &str) -> Connection {
    let client = redis::Client::open(url).unwrap();
    client.get_connection().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The program under test, its command line and a folder for its files. Dropping this removes the folder.
pub struct Program {
    command: Command,
    folder: TempDir,
}

impl Program {
    /// Returns the program for `redis`, without the environment of this machine.
    pub fn on(redis: &Redis) -> Self {
        Self::new().args(["--redis-url", redis.url()])
    }

    pub fn new() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rescue-scheduler"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).stdin(Stdio::null());
        let folder = TempDir::new().unwrap();
        command.current_dir(folder.path());
        Self { command, folder }
    }

    pub fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.command.args(args);
        self
    }

    pub fn more_args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Writes a schedule file and gives it to the program.
    pub fn schedule(mut self, text: &str) -> Self {
        let path = self.write("schedule.toml", text);
        self.command.arg(path);
        self
    }

    /// Returns the path of a file in the folder where the program runs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs the program until it exits.
    pub fn run(&mut self) -> Finished {
        let output = self.command.output().unwrap();
        Finished {
            status: output.status,
            log: String::from_utf8(output.stderr).unwrap(),
            output: String::from_utf8(output.stdout).unwrap(),
        }
    }

    /// Runs the program until it exits, sending each line of input after the answer to the previous one.
    pub fn converse<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let (input, output) = (Stdio::piped(), Stdio::piped());
        let command = self.command.stdin(input).stdout(output);
        let mut process = command.spawn().unwrap();
        let mut questions = process.stdin.take().unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut converse = |line| {
            writeln!(questions, "{line}").unwrap();
            answers.next().unwrap().unwrap()
        };
        let answered = lines.into_iter().map(&mut converse).collect();
        drop(questions);
        assert!(answers.next().is_none(), "an answer without a question");
        assert!(process.wait().unwrap().success());
        answered
    }

    /// Starts the program with its log going to a pipe, which fills up if nobody reads it.
    pub fn start_with_pipe(mut self) -> (Scheduler, ChildStderr) {
        let command = self.command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let pipe = process.stderr.take().unwrap();
        let log = self.path("log");
        let scheduler = Scheduler {
            program: self,
            process,
            log,
        };
        (scheduler, pipe)
    }

    /// Starts the program with its log going to a file.
    pub fn start(mut self) -> Scheduler {
        let log = self.folder.path().join("log");
        let file = fs::File::options()
            .append(true)
            .create(true)
            .open(&log)
            .unwrap();
        let process = self
            .command
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        Scheduler {
            program: self,
            process,
            log,
        }
    }
}

/// Result of a program that has exited.
pub struct Finished {
    pub status: ExitStatus,
    pub log: String,
    pub output: String,
}

impl Finished {
    /// Asserts that the program succeeded.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "{}", self.log);
        self
    }
}

/// A running program. Dropping it kills the process.
pub struct Scheduler {
    pub program: Program,
    process: Child,
    log: PathBuf,
}

impl Scheduler {
    /// Returns the log so far.
    pub fn log(&self) -> String {
        read(&self.log)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns a value in kB from the process status: `VmRSS` is the current memory, `VmHWM` its maximum.
    pub fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let mut lines = status.lines();
        let line = lines.find_map(|it| it.strip_prefix(name)?.strip_prefix(':'));
        let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
        kilobytes.parse().unwrap()
    }

    /// Returns the value that the program writes into the lock.
    pub fn holder(&self) -> String {
        let host = gethostname::gethostname();
        format!("{}:{}", host.to_string_lossy(), self.pid())
    }

    /// Requests the status until the log contains `expected`.
    #[track_caller]
    pub fn status(&self, expected: &str) -> &Self {
        let before = self.log().len();
        eventually(|| {
            self.signal(signal::Signal::SIGUSR1);
            std::thread::sleep(Duration::from_millis(20));
            match self.log()[before..].to_owned() {
                log if log.contains(expected) => Ok(()),
                log => Err(format!("no `{expected}` in:\n{log}")),
            }
        });
        self
    }

    /// Waits until the log contains `text`.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> &Self {
        eventually(|| match self.log() {
            log if log.contains(text) => Ok(()),
            log => Err(format!("no `{text}` in the log:\n{log}")),
        });
        self
    }

    pub fn signal(&self, signal: signal::Signal) {
        send(self.pid(), signal);
    }

    /// Waits until the process exits. Something must have made it exit.
    pub fn ended(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    /// Kills the process with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts the killed program again, with the same command line and log.
    pub fn start_again(&mut self) {
        self.process = self.program.command.spawn().unwrap();
    }

    /// Kills the process with SIGKILL and starts it again.
    pub fn restart(mut self) -> Self {
        self.kill();
        self.start_again();
        self
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn send(process: u32, signal: signal::Signal) {
    let pid = Pid::from_raw(process.try_into().unwrap());
    signal::kill(pid, signal).unwrap();
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Calls `ask` until it returns `Ok`. Fails with the last `Err` after [`PATIENCE`].
#[track_caller]
pub fn eventually<T, E: fmt::Display>(mut ask: impl FnMut() -> Result<T, E>) -> T {
    let started = now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(why) => assert!(started.elapsed() < PATIENCE, "{why}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[expect(clippy::disallowed_methods, reason = "tests may measure")]
pub fn now() -> Instant {
    Instant::now()
}

/// Reads a whole number from the environment. The default is for the short run in CI.
pub fn argument(name: &str, short: u64) -> u64 {
    let given = std::env::var_os(name).map(|it| it.into_string().unwrap());
    given.map_or(short, |it| it.parse().unwrap())
}

/// Returns the current time in Unix seconds.
pub fn unix_now() -> i64 {
    use rescue_scheduler::clock::{Clock as _, SystemClock};
    SystemClock.now().timestamp()
}

/// Returns the text of a file of golden data. `tests/data/vectors/README.md` describes the files.
pub fn vectors(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vectors");
    let text = fs::read_to_string(folder.join(file));
    text.unwrap_or_else(|error| panic!("tests/data/vectors/{file}: {error}"))
}

//! The test bed of all measurements: a private redis-server and the real program.

use std::{
    fmt::Debug,
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use redis::{Commands as _, Connection};
use rescue_scheduler::store::{Listen, PrivateServer};
use tempfile::TempDir;

/// The leader's lock.
pub const LOCK: &str = "resque:resque:resque_scheduler_master_lock";

/// The maximum time of a wait. No measurement takes longer.
const PATIENCE: Duration = Duration::from_secs(300);

/// A private redis-server, and a connection to it.
pub struct Redis {
    server: PrivateServer,
    pub connection: Connection,
}

impl Redis {
    pub fn start() -> Self {
        let server = PrivateServer::start(Listen::Socket).unwrap();
        let connection = connect(server.url());
        Self { server, connection }
    }

    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// Opens another connection.
    pub fn connect(&self) -> Connection {
        connect(self.url())
    }

    /// Returns a field of `INFO`.
    pub fn info<T: FromStr<Err: Debug>>(&mut self, section: &str, field: &str) -> T {
        let info: String = redis::cmd("INFO")
            .arg(section)
            .query(&mut self.connection)
            .unwrap();
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        let value = lines.find_map(|(name, value)| (name == field).then_some(value));
        value.unwrap().parse().unwrap()
    }

    /// Returns the CPU time of the server so far, in user and system mode.
    pub fn computed(&mut self) -> Duration {
        ["used_cpu_user", "used_cpu_sys"]
            .map(|field| Duration::from_secs_f64(self.info("cpu", field)))
            .iter()
            .sum()
    }

    /// Takes the lease for another scheduler until [`Self::let_lead`], so that the program stays a follower.
    pub fn hold_lead(&mut self) {
        let () = self.connection.set(LOCK, "bench:1").unwrap();
        let () = self.connection.expire(LOCK, 600).unwrap();
    }

    /// Releases the lease and wakes the follower, as a scheduler that stops does.
    pub fn let_lead(&mut self) {
        let mut stop = redis::pipe();
        stop.atomic()
            .del(LOCK)
            .rpush("resque:rescue_scheduler:handover", "bench:1");
        let () = stop.query(&mut self.connection).unwrap();
    }
}

fn connect(url: &str) -> Connection {
    redis::Client::open(url).unwrap().get_connection().unwrap()
}

/// The running program. Dropping it kills the process.
pub struct Scheduler {
    process: Child,
    folder: TempDir,
}

impl Scheduler {
    /// Starts the program with this schedule.
    pub fn start(redis: &Redis, schedule: &str) -> Self {
        Self::start_with(redis, schedule, &[])
    }

    /// Starts the program with this schedule, which may be empty, and these flags.
    pub fn start_with(redis: &Redis, schedule: &str, flags: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rescue-scheduler"));
        command
            .env_clear()
            .args(["--redis-url", redis.url()])
            .args(flags);
        // A schedule file without entries is an error, so an empty schedule is no file.
        if !schedule.is_empty() {
            let file = folder.path().join("schedule.toml");
            fs::write(&file, schedule).unwrap();
            command.arg(file);
        }
        let process = command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        Self { process, folder }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Waits until the log contains `text`.
    pub fn wait_for(&self, text: &str) {
        wait_until(|| self.log().contains(text));
    }

    fn proc(&self, file: &str) -> String {
        let path = PathBuf::from(format!("/proc/{}/{file}", self.process.id()));
        fs::read_to_string(path).unwrap()
    }

    /// Returns a size from `/proc/PID/status` in MB.
    pub fn megabytes(&self, line: &str) -> f64 {
        let status = self.proc("status");
        let value = status.lines().find_map(|it| it.strip_prefix(line)).unwrap();
        let kib = value.trim_matches(|it: char| !it.is_ascii_digit());
        kib.parse::<f64>().unwrap() * 1024.0 / 1e6
    }

    /// Returns the CPU time of the process so far, in user and system mode.
    pub fn computed(&self) -> Duration {
        const TICK: u64 = 10;
        let stat = self.proc("stat");
        let fields: Vec<_> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * TICK)
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for the condition, and checks it every half millisecond.
pub fn wait_until(mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < PATIENCE, "it takes too long");
        thread::sleep(Duration::from_micros(500));
    }
}

/// Returns the median.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

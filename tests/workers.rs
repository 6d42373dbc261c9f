//! Resque workers in other languages take the jobs that we pushed. (Ruby's are covered by the wire
//! vectors.) Each test installs its worker from its registry, or says why it was skipped; in CI
//! it must not be skipped.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::harness::{Program, Redis, skip};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/workers");

/// A folder for what is installed, kept from one run of the tests to the next.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs an installation step. `false`: it can't be done here.
pub fn installs(command: &mut Command) -> bool {
    let why = match command.output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    skip(&format!("{command:?} failed: {why}"));
    false
}

/// Enqueues a recurring and a delayed job of `class`, then lets `worker` take both.
fn taken_by(worker: &mut Command, class: &str) -> Vec<Value> {
    let mut redis = Redis::on_port();
    let item = json!({"class": class, "args": [], "queue": "reports"});
    redis.delay(1_000_000_000, item.to_string());
    let schedule = format!(
        "[schedule.daily]\ncron = \"* * * * *\"\nclass = \"{class}\"\nqueue = \"reports\"\n\
         args = [\"é\", {{ deep = [1, 2.5, true] }}]\ninclude_metadata = true\n"
    );
    for at in ["2026-11-23T11:59:30Z", "2026-11-23T12:00:01Z"] {
        let program = Program::on(&redis).schedule(&schedule);
        program.args(["--once", "--at", at]).run().succeeded();
    }
    let port = redis.port();
    let Output {
        status,
        stdout,
        stderr,
    } = worker.args([&port, "reports", "2"]).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    assert_eq!(redis.queue("reports"), Vec::<String>::new());
    let lines = String::from_utf8(stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn expected(class: &str) -> [Value; 2] {
    let fire_time = json!({"scheduled_at": 1_795_435_200});
    [
        json!({"class": class, "args": []}),
        json!({"class": class, "args": ["é", {"deep": [1, 2.5, true]}, fire_time]}),
    ]
}

#[test]
fn a_node_resque_worker_takes_our_jobs() {
    let folder = folder("node_resque");
    for file in ["package.json", "package-lock.json", "node_resque.mjs"] {
        std::fs::copy(Path::new(HERE).join(file), folder.join(file)).unwrap();
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund"])
        .current_dir(&folder);
    if installs(&mut npm) {
        let mut worker = Command::new("node");
        worker.arg(folder.join("node_resque.mjs"));
        let class = "Reports::Daily";
        assert_eq!(taken_by(&mut worker, class), expected(class));
    }
}

#[test]
fn a_pyres_worker_takes_our_jobs() {
    let python = folder("pyres").join("bin/python3");
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(folder("pyres"));
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "pyres==1.5"]);
    if installs(&mut venv) && installs(&mut pip) {
        let mut worker = Command::new(&python);
        worker.arg(Path::new(HERE).join("pyres_worker.py"));
        let class = "reports.Daily";
        assert_eq!(taken_by(&mut worker, class), expected(class));
    }
}

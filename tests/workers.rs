//! Resque in other languages: their workers take jobs that the scheduler enqueued, and their apps delay jobs that
//! the scheduler moves. (The wire vectors cover Ruby.) Each test installs packages from a registry, so `make
//! interop` runs them.

mod producers;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

use rescue_scheduler::client::{ActiveJob, Client};
use serde_json::{Value, json};

use crate::harness::{Program, Redis};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/workers");

const NODE_FILES: [&str; 4] = [
    "package.json",
    "package-lock.json",
    "node_resque.mjs",
    "node_resque_queue.mjs",
];

/// Returns a folder for installed packages, which the next test run uses again.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs an installation command and asserts that it succeeds.
#[track_caller]
pub fn install(command: &mut Command) {
    let why = match command.output() {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!("{command:?} failed: {why}");
}

/// The folder with node-resque and our scripts for it.
///
/// It is installed once, because `npm ci` would remove it while another test uses it.
static NODE_RESQUE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = folder("node_resque");
    for file in NODE_FILES {
        std::fs::copy(Path::new(HERE).join(file), folder.join(file)).unwrap();
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund"]);
    install(npm.current_dir(&folder));
    folder
});

/// Returns a command that runs one of our scripts with node-resque.
fn node(script: &str) -> Command {
    let mut node = Command::new("node");
    node.arg(NODE_RESQUE.join(script));
    node
}

/// The Python of a virtual environment of our own, which has pip.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut venv = Command::new("python3");
    install(venv.args(["-m", "venv"]).arg(folder("python")));
    folder("python").join("bin/python3")
});

/// Returns `pip install`, to which the caller adds options and packages.
pub fn pip_install() -> Command {
    let mut pip = Command::new(&*PYTHON);
    pip.args(["-m", "pip", "install", "--quiet"]);
    pip.arg("--disable-pip-version-check");
    pip
}

/// Returns a command that runs one of our scripts with pyres.
fn python(script: &str) -> Command {
    static PYRES: LazyLock<()> = LazyLock::new(|| {
        // The newest redis package that supports ZADD as pyres calls it.
        install(pip_install().args(["pyres==1.5", "redis==2.10.6"]));
    });
    LazyLock::force(&PYRES);
    let mut python = Command::new(&*PYTHON);
    python.arg(Path::new(HERE).join(script));
    python
}

/// Lets a worker take all jobs of `queue`, and returns them.
fn taken(mut worker: Command, redis: &mut Redis, queue: &str) -> Vec<Value> {
    let count = redis.queue(queue).len().to_string();
    let Output {
        status,
        stdout,
        stderr,
    } = worker
        .args([&redis.port(), queue, &count])
        .output()
        .unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    assert_eq!(redis.queue(queue), Vec::<String>::new());
    let lines = String::from_utf8(stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Enqueues a recurring and a delayed job of `class`, and asserts that `worker` takes both.
fn a_worker_takes_our_jobs(worker: Command, class: &str) {
    let mut redis = Redis::on_port();
    let item = json!({"class": class, "args": [], "queue": "reports"});
    redis.delay(1_000_000_000, item.to_string());
    let schedule = format!(
        "[schedule.daily]\ncron = \"* * * * *\"\nclass = \"{class}\"\nqueue = \"reports\"\n\
         args = [\"é\", {{ deep = [1, 2.5, true] }}]\ninclude_metadata = true\n"
    );
    fire_at_noon(&redis, &schedule);
    let fire_time = json!({"scheduled_at": 1_795_435_200});
    let expected = [
        json!({"class": class, "args": []}),
        json!({"class": class, "args": ["é", {"deep": [1, 2.5, true]}, fire_time]}),
    ];
    assert_eq!(taken(worker, &mut redis, "reports"), expected);
}

fn fire_at_noon(redis: &Redis, schedule: &str) {
    for at in ["2026-11-23T11:59:30Z", "2026-11-23T12:00:01Z"] {
        let program = Program::on(redis).schedule(schedule);
        program
            .args(["--once", "--yes", "--at", at])
            .run()
            .succeeded();
    }
}

#[test]
#[ignore = "needs npm: run `make interop`"]
fn a_node_resque_worker_takes_our_jobs() {
    a_worker_takes_our_jobs(node("node_resque.mjs"), "Reports::Daily");
}

#[test]
#[ignore = "needs pip: run `make interop`"]
fn a_pyres_worker_takes_our_jobs() {
    a_worker_takes_our_jobs(python("pyres_worker.py"), "reports.Daily");
}

#[tokio::test]
#[ignore = "needs npm: run `make interop`"]
async fn a_worker_gets_the_arguments_of_the_active_job_wrapper() {
    let mut redis = Redis::on_port();
    let client = Client::open(redis.url(), "resque").unwrap();
    let job = ActiveJob::new("reports", "ReportJob", &("all", json!({"symbol": "daily"})));
    let job = job.unwrap().kwargs(&json!({"region": "eu"})).unwrap();
    client.enqueue_active_job(&job).await.unwrap();
    fire_at_noon(
        &redis,
        "[schedule.daily]\ncron = \"* * * * *\"\nclass = \"ReportJob\"\nqueue = \"reports\"\n\
         active_job = true\nargs = [\"all\", { symbol = \"daily\" }]\nkwargs = { region = \"eu\" }\n",
    );
    let arguments = json!([
        "all",
        {"_aj_serialized": "ActiveJob::Serializers::SymbolSerializer", "value": "daily"},
        {"region": "eu", "_aj_ruby2_keywords": ["region"]},
    ]);
    let jobs = taken(node("node_resque.mjs"), &mut redis, "reports");
    assert_eq!(jobs.len(), 2);
    for job in &jobs {
        let wrapper = "ActiveJob::QueueAdapters::ResqueAdapter::JobWrapper";
        assert_eq!(job["class"], wrapper);
        let args = job["args"].as_array().unwrap();
        assert_eq!(args.len(), 1);
        assert_eq!(args[0]["job_class"], "ReportJob");
        assert_eq!(args[0]["queue_name"], "reports");
        assert_eq!(args[0]["arguments"], arguments);
    }
    assert_eq!(jobs[0]["args"][0]["job_id"], job.id());
    let fire_time = "2026-11-23T12:00:00.000000000Z";
    assert_eq!(jobs[1]["args"][0]["scheduled_at"], fire_time);
}

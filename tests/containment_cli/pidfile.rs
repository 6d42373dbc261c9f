//! `--pidfile` never harms another process or another file.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};

use crate::harness::{Finished, Program, Redis};

fn program(redis: &Redis) -> (Program, PathBuf) {
    let program = Program::on(redis).args(["--once", "--pidfile", "pid"]);
    let path = program.path("pid");
    (program, path)
}

#[track_caller]
fn is_refused(finished: &Finished, reason: &str) {
    assert_eq!(finished.status.code(), Some(1), "{}", finished.log);
    let error = format!("error: cannot write process number to pid: {reason}");
    assert!(finished.log.contains(&error), "{}", finished.log);
    assert!(
        !finished.log.contains("became the leader"),
        "{}",
        finished.log
    );
}

#[test]
fn the_pidfile_of_a_running_process_is_not_replaced() {
    let redis = Redis::start();
    let mut running = Program::on(&redis).args(["--pidfile", "pid"]).start();
    running.wait_for("became the leader holder=");
    let (mut program, path) = program(&redis);
    let theirs = fs::read_to_string(running.program.path("pid")).unwrap();
    fs::write(&path, &theirs).unwrap();
    is_refused(
        &program.run(),
        &format!("it names process {}, which runs;", running.pid()),
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), theirs);

    running.signal(Signal::SIGTERM);
    assert_eq!(running.ended().code(), Some(0));
    assert!(!running.program.path("pid").exists());
}

#[test]
fn the_pidfile_of_a_process_that_has_ended_is_replaced() {
    let redis = Redis::start();
    let mut killed = Program::on(&redis)
        .args(["--lease", "1s", "--pidfile", "pid"])
        .start();
    killed.wait_for("became the leader holder=");
    killed.kill();
    assert!(killed.program.path("pid").exists());
    killed.start_again();
    let pid = format!("{}\n", killed.pid());
    killed.wait_for(&killed.holder());
    assert_eq!(fs::read_to_string(killed.program.path("pid")).unwrap(), pid);
}

/// In a container, one of the new process's threads may have the ID that an earlier process left in the pidfile.
#[cfg(target_os = "linux")]
#[test]
fn a_pidfile_with_the_id_of_a_thread_is_replaced() {
    let redis = Redis::start();
    let (mut program, path) = program(&redis);
    let this = std::process::id().to_string();
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let threads = threads.map(|it| it.unwrap().file_name().into_string().unwrap());
    // The test harness runs each test in its own thread.
    let thread = threads.into_iter().find(|it| *it != this).unwrap();
    fs::write(&path, thread).unwrap();
    program.run().succeeded();
    assert!(!path.exists());
}

#[test]
fn an_empty_pidfile_is_replaced() {
    let redis = Redis::start();
    let (mut program, path) = program(&redis);
    fs::write(&path, "").unwrap();
    program.run().succeeded();
    assert!(!path.exists());
}

#[test]
fn a_pidfile_that_is_a_link_a_pipe_or_another_file_is_not_replaced() {
    let redis = Redis::start();
    let (mut program, path) = program(&redis);
    let precious = program.write("precious", "1");
    symlink(&precious, &path).unwrap();
    is_refused(
        &program.run(),
        "there is a link, a pipe or the like, not a plain file",
    );
    assert_eq!(fs::read_to_string(&precious).unwrap(), "1");

    fs::remove_file(&path).unwrap();
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    is_refused(
        &program.run(),
        "there is a link, a pipe or the like, not a plain file",
    );

    fs::remove_file(&path).unwrap();
    fs::write(&path, "Rails.application\n").unwrap();
    is_refused(
        &program.run(),
        "the file is there and holds no process number",
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "Rails.application\n");
}

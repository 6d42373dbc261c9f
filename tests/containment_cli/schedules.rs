//! Schedule files that hang, never end, or are full of errors.

use std::{fmt::Write as _, fs, os::unix::fs::symlink, path::Path, time::Duration};

use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};

use crate::harness::{
    Program, Redis, Scheduler, now,
    ticks::{EACH_SECOND, goes_on_without_a_gap, wait_for_fires},
};

fn pipe(path: &Path) {
    mkfifo(path, Mode::S_IRWXU).unwrap();
}

/// Starts a scheduler with a short lease, and waits until it fires.
fn start(redis: &mut Redis) -> Scheduler {
    let program = Program::on(redis).args(["--lease", "1s"]);
    let scheduler = program.schedule(EACH_SECOND).start();
    wait_for_fires(redis, &scheduler, 1);
    scheduler
}

/// Replaces the schedule file, and waits until the log contains `reason`.
fn is_refused(scheduler: &Scheduler, replace: impl FnOnce(&Path), reason: &str) {
    let path = scheduler.program.path("schedule.toml");
    fs::remove_file(&path).unwrap();
    replace(&path);
    scheduler.signal(Signal::SIGHUP);
    scheduler.wait_for(reason);
}

#[test]
fn a_pipe_or_a_device_as_a_schedule_file_is_refused_on_reload() {
    let mut redis = Redis::start();
    let mut scheduler = start(&mut redis);
    is_refused(&scheduler, pipe, "error=\"not a regular file but a pipe\"");
    is_refused(
        &scheduler,
        |path| symlink("/dev/zero", path).unwrap(),
        "error=\"not a regular file but a device\"",
    );
    is_refused(
        &scheduler,
        |path| fs::write(path, EACH_SECOND.replace("tick", "tock")).unwrap(),
        "schedule reloaded added=\"tock\"",
    );
    scheduler.signal(Signal::SIGTERM);
    assert_eq!(scheduler.ended().code(), Some(0));
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let mut program = Program::new().args(["check", "--max-schedule-size", "1KB", "large.toml"]);
    let path = program.write("large.toml", &"#".repeat(1024));
    let empty = program.run();
    assert!(
        empty.log.contains("the file has no entries"),
        "{}",
        empty.log
    );
    fs::write(&path, "#".repeat(1025)).unwrap();
    let large = program.run();
    assert_eq!(large.status.code(), Some(1));
    assert!(
        large
            .log
            .contains("error: the file is larger than 1024 bytes"),
        "{}",
        large.log
    );
    assert!(large.log.contains("--max-schedule-size"), "{}", large.log);
}

#[test]
fn a_file_on_standard_input_is_read_and_a_pipe_is_refused() {
    let shell = |command: &str| {
        let mut shell = std::process::Command::new("sh");
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.toml"), EACH_SECOND).unwrap();
        let program = env!("CARGO_BIN_EXE_rescue-scheduler");
        let output = shell
            .args(["-c", command, program])
            .current_dir(&folder)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(
        shell("\"$0\" check /dev/stdin < a.toml"),
        (Some(0), String::new())
    );
    let (code, log) = shell("cat a.toml | \"$0\" check /dev/stdin");
    assert_eq!(code, Some(1));
    assert!(
        log.contains("error: not a regular file but a pipe"),
        "{log}"
    );
    assert!(
        log.contains("write the output of a command to a file first"),
        "{log}"
    );
}

#[test]
fn ten_thousand_errors_on_reload_delay_no_fire() {
    let mut redis = Redis::start();
    let scheduler = start(&mut redis);
    let mut lines = String::new();
    for number in 0..10_000 {
        writeln!(lines, "[schedule.a{number}]\nqueue = 'q'\nevery = 'soon'").unwrap();
    }
    let one_line: Vec<_> = (0..3_000)
        .map(|it| format!("a{it} = {{ queue = 'q', every = 'soon' }}"))
        .collect();
    let one_line = format!("schedule = {{ {} }}\n", one_line.join(", "));
    for (text, mistakes) in [(lines, 10_000), (one_line, 3_000)] {
        let reason = format!(
            "reload rejected; keeping the previous schedule count={mistakes} not_shown={}\n",
            mistakes - 50
        );
        is_refused(&scheduler, |path| fs::write(path, &text).unwrap(), &reason);
        goes_on_without_a_gap(&mut redis, &scheduler, 1);
    }
    let log = scheduler.log();
    assert_eq!(
        log.matches("ERROR error in a schedule file file=").count(),
        100
    );
    assert!(!log.contains("no longer the leader"), "{log}");
}

#[test]
fn a_rejected_reload_is_a_problem_until_a_reload_succeeds() {
    let mut redis = Redis::start();
    let scheduler = start(&mut redis);
    is_refused(
        &scheduler,
        |path| fs::write(path, "nonsense").unwrap(),
        "reload rejected",
    );
    scheduler.status("unhealthy leading=true problems=\"the last reload was rejected;");
    let path = scheduler.program.path("schedule.toml");
    fs::write(path, EACH_SECOND).unwrap();
    scheduler.signal(Signal::SIGHUP);
    scheduler
        .wait_for("schedule reloaded")
        .status("INFO healthy");
}

#[test]
fn the_errors_of_a_rejected_reload_are_one_record_in_json_and_logfmt() {
    for format in ["json", "logfmt"] {
        let mut redis = Redis::start();
        let program = Program::on(&redis).args(["--log-format", format]);
        let scheduler = program.schedule(EACH_SECOND).start();
        wait_for_fires(&mut redis, &scheduler, 1);
        let path = scheduler.program.path("schedule.toml");
        fs::write(path, "[schedule.a]\nevery = 'soon'\nqueu = 'q'\n").unwrap();
        scheduler.signal(Signal::SIGHUP);
        scheduler.wait_for("reload rejected; keeping the previous schedule");
        let log = scheduler.log();
        let rejected =
            |line: &&str| line.contains("reload rejected") || line.contains("schedule.toml");
        let records: Vec<&str> = log.lines().filter(rejected).collect();
        assert_eq!(records.len(), 1, "{log}");
        for part in [
            "schedule.toml:2:10: `soon` is not a number",
            "; ",
            "schedule.toml:3:1: unknown key `queu` (did you mean `queue`?)",
        ] {
            assert!(records[0].contains(part), "no `{part}` in {}", records[0]);
        }
    }
}

#[test]
fn fifty_of_ten_thousand_warnings_are_logged_and_the_others_counted() {
    let redis = Redis::start();
    let mut yaml = String::new();
    for number in 0..10_000 {
        writeln!(yaml, "a{number}: {{ queue: q, every: 1h, unknown: 1 }}").unwrap();
    }
    let mut program = Program::on(&redis).args(["--once", "schedule.yml"]);
    program.write("schedule.yml", &yaml);
    let log = program.run().succeeded().log;
    assert_eq!(log.matches("warning about a schedule file").count(), 50);
    assert!(
        log.contains("more warnings about schedule files not_shown=9950"),
        "{log}"
    );
}

#[test]
fn ten_thousand_files_with_errors_are_checked_in_seconds() {
    let mut program = Program::new().args(["check", "schedules"]);
    let folder = program.path("schedules");
    fs::create_dir(&folder).unwrap();
    for number in 0..10_000 {
        let text = format!("[schedule.a{}]\nqueue = 'q'\n", number % 5_000);
        fs::write(folder.join(format!("{number}.toml")), text).unwrap();
    }
    let started = now();
    let log = program.run().log;
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert!(log.contains("… and 4950 more"), "{log}");
    assert!(
        log.ends_with("5000 errors in 10000 files; the schedule is not used\n"),
        "{log}"
    );
}

//! Command-line arguments, environment variables and their errors.

use std::path::{Path, PathBuf};

use redis::Commands;

use crate::harness::{Program, Redis, Scheduler, eventually};

#[test]
fn an_error_in_a_schedule_is_printed_with_its_line_and_nothing_changes_in_redis() {
    let mut redis = Redis::start();
    let mut program = Program::on(&redis).schedule(
        "[schedule.one]\ncron = \"61 * * * *\"\nqueue = \"q\"\n\n[schedule.two]\nevry = \"1s\"\nqueue = \"q\"\n",
    );
    let finished = program.run();
    assert_eq!(finished.status.code(), Some(1));
    for part in [
        "schedule.toml:2:9",
        "cron = \"61 * * * *\"",
        "schedule.toml:6:1",
        "`every`",
    ] {
        assert!(
            finished.log.contains(part),
            "no {part} in:\n{}",
            finished.log
        );
    }
    let commands: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut redis.connection)
        .unwrap();
    assert!(!commands.contains("evalsha"), "{commands}");
    assert_eq!(redis.dump(), serde_json::json!({}));
}

#[test]
fn a_command_of_another_program_gets_advice() {
    for (args, advice) in [
        (&["health"][..], "rescue-scheduler status"),
        (&["list"], "rescue-scheduler schedule list"),
        (&["pause", "nightly"], "schedule pause NAME"),
        (&["validate", "schedule.toml"], "rescue-scheduler check"),
        (
            &["Chek", "schedule.toml"],
            "did you mean the command `check`?",
        ),
        (&["start", "schedule.toml"], "rescue-scheduler run FILE"),
        (
            &["--timezone", "UTC", "next", "a.toml"],
            "write the command first",
        ),
    ] {
        let finished = Program::new().more_args(args).run();
        assert_eq!(finished.status.code(), Some(2), "{args:?}");
        assert!(finished.log.contains(advice), "{args:?}: {}", finished.log);
    }
}

#[test]
fn completions_and_the_man_page_name_every_command() {
    let commands = [
        "run", "next", "check", "status", "schedule", "delayed", "explain",
    ];
    let of = |args: &[&str]| Program::new().more_args(args).run().succeeded().output;
    for page in [
        of(&["completions", "bash"]),
        of(&["completions", "zsh"]),
        of(&["completions", "fish"]),
        of(&["man"]),
    ] {
        for command in commands {
            assert!(page.contains(command), "no {command} in {page}");
        }
    }
    assert!(of(&["man"]).starts_with(".ie"), "no roff");
}

#[test]
fn without_a_command_the_scheduler_runs() {
    let mut redis = Redis::start();
    let schedule = "[schedule.e]\ncron = '0 * * * *'\nqueue = 'q'\n";
    for (arguments, time) in [(&[][..], "11:30"), (&["run"], "12:00")] {
        let program = Program::new().more_args(arguments);
        let at = format!("2026-11-23T{time}:00Z");
        let program = program.args(["--once", "--yes", "--at", &at, "--redis-url", redis.url()]);
        program.schedule(schedule).run().succeeded();
    }
    assert_eq!(redis.queue("q").len(), 1);
}

#[test]
fn once_at_a_future_time_requires_yes() {
    let mut redis = Redis::start();
    redis.delay(4_102_444_800, crate::harness::item("q", 1));
    let once = || Program::on(&redis).args(["--once", "--at", "2100-01-02T00:00:00Z"]);
    let finished = once().run();
    assert_eq!(finished.status.code(), Some(2));
    assert!(finished.log.contains("pass --yes"), "{}", finished.log);
    once().args(["--yes"]).run().succeeded();
    assert_eq!(redis.queue("q"), [crate::harness::payload(1)]);
}

#[test]
fn usage_errors_exit_with_2() {
    let finished = Program::new().args(["--lease", "0"]).run();
    assert_eq!(finished.status.code(), Some(2));
    assert!(
        finished.log.contains("expected at least 1s"),
        "{}",
        finished.log
    );
}

#[test]
fn help_names_every_environment_variable_but_shows_no_password() {
    let help = Program::new()
        .env("REDIS_URL", "redis://:s3cret@db")
        .args(["--help"])
        .run();
    let help = help.succeeded().output;
    for name in [
        "REDIS_URL",
        "RESQUE_NAMESPACE",
        "RAILS_ENV",
        "RESQUE_SCHEDULER_INTERVAL",
        "LOCK_TIMEOUT",
        "RESQUE_SCHEDULER_MASTER_LOCK_PREFIX",
        "LOGFORMAT",
        "LOGFILE",
        "QUIET",
        "VERBOSE",
        "PIDFILE",
        "MAX_ITEM_SIZE",
        "QUARANTINE_LIMIT",
        "TZ",
    ] {
        assert!(
            help.contains(&format!("[env: {name}")),
            "{name} is not in\n{help}"
        );
    }
    assert!(!help.contains("s3cret"), "{help}");
}

#[test]
fn no_password_is_logged() {
    let url = "redis://user:s3cret@127.0.0.1:1/0";
    let finished = Program::new().args(["--once", "--redis-url", url]).run();
    assert_eq!(finished.status.code(), Some(1));
    assert!(finished.log.contains("127.0.0.1:1"), "{}", finished.log);
    assert!(!finished.log.contains("s3cret"), "{}", finished.log);
    let finished = Program::new()
        .args(["--once", "--redis-url", "foo://user:s3cret@host"])
        .run();
    assert_eq!(finished.status.code(), Some(1));
    assert!(!finished.log.contains("s3cret"), "{}", finished.log);
}

#[test]
fn the_variables_of_resque_scheduler_take_effect() {
    let redis = Redis::start();
    let program = Program::new().env("REDIS_URL", redis.url());
    let program = program
        .env("RESQUE_NAMESPACE", "app:resque")
        .env("RAILS_ENV", "production");
    let program = program
        .env("LOGFORMAT", "json")
        .env("TZ", "Europe/Stockholm");
    let program = program
        .env("LOCK_TIMEOUT", "180")
        .env("RESQUE_SCHEDULER_INTERVAL", "5");
    let program = program
        .env("PIDFILE", "pid")
        .env("QUIET", "")
        .env("LOGFILE", "");
    let scheduler = program.start();
    scheduler.wait_for(
        r#""namespace":"app:resque","environment":"production","timezone":"Europe/Stockholm""#,
    );
    scheduler.wait_for(r#""lease_s":180.0"#);
    let pidfile = scheduler.program.path("pid");
    assert_eq!(
        std::fs::read_to_string(pidfile).unwrap(),
        format!("{}\n", scheduler.pid())
    );
}

#[test]
fn an_error_in_the_value_of_a_variable_names_the_variable() {
    let names_variable = |program: Program| {
        let finished = program.env("RESQUE_SCHEDULER_INTERVAL", "soon").run();
        assert_eq!(finished.status.code(), Some(2));
        let words = "the value is from the variable RESQUE_SCHEDULER_INTERVAL";
        finished.log.contains(words)
    };
    assert!(names_variable(Program::new()));
    assert!(names_variable(Program::new().args(["run"])));
    let flag = Program::new().args(["--interval", "later"]);
    assert!(!names_variable(flag));
}

#[test]
fn log_lines_are_coloured_for_a_terminal_only_and_never_if_no_color_is_set() {
    let redis = Redis::start();
    let coloured = |variables: &[(&str, &str)]| {
        let program = Program::on(&redis).args(["--once"]);
        let with = |program: Program, (name, value): &(&str, &str)| program.env(name, value);
        let log = variables.iter().fold(program, with).run().succeeded().log;
        log.contains('\x1b')
    };
    // Forces colour as for a terminal, because standard error is a pipe here.
    let terminal = ("CLICOLOR_FORCE", "1");
    assert!(coloured(&[terminal]));
    assert!(!coloured(&[terminal, ("NO_COLOR", "1")]));
    assert!(!coloured(&[]));
}

#[test]
fn logs_go_to_a_file_as_logfmt_and_quiet_omits_info_lines() {
    let redis = Redis::start();
    let mut program = Program::on(&redis).args(["--once", "-F", "logfmt", "-l", "out.log"]);
    assert_eq!(program.run().succeeded().log, "");
    let log = std::fs::read_to_string(program.path("out.log")).unwrap();
    assert!(
        log.contains("level=info") && log.contains("message=\"became the leader\""),
        "{log}"
    );
    assert_eq!(
        Program::on(&redis)
            .args(["--once", "-q"])
            .run()
            .succeeded()
            .log,
        ""
    );
}

/// Starts the program with `--dev`, and returns the URL and the folder of its private Redis.
fn dev() -> (Scheduler, redis::Client, PathBuf) {
    let program = Program::new().args(["--dev", "--namespace", "shop"]);
    let scheduler = program
        .schedule(
            "[schedule.t]\nevery = \"1s\"\nqueue = \"it's\"\n\
             [schedule.a]\nevery = \"1d\"\nqueue = \"q\"\n",
        )
        .start();
    scheduler
        .wait_for("started a private redis-server")
        .wait_for("fired entry=\"t\"");
    let log = scheduler.log();
    let (_, url) = log.split_once("redis_url=\"").unwrap();
    let (url, _) = url.split_once('"').unwrap();
    let (_, folder) = log.split_once("data=\"").unwrap();
    let (folder, _) = folder.split_once('"').unwrap();
    let client = redis::Client::open(url).unwrap();
    assert!(Path::new(folder).exists());
    (scheduler, client, folder.into())
}

#[track_caller]
fn is_gone(client: &redis::Client, folder: &Path) {
    eventually(|| client.get_connection().err().ok_or("it still listens"));
    eventually(|| (!folder.exists()).then_some(()).ok_or("its folder is left"));
}

#[test]
fn dev_starts_a_private_redis_and_removes_it_on_a_stop() {
    let (mut scheduler, client, folder) = dev();
    let mut connection = client.get_connection().unwrap();
    let queued: usize = connection.llen("shop:queue:it's").unwrap();
    assert!(queued > 0);
    scheduler.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(scheduler.ended().code(), Some(0));
    is_gone(&client, &folder);
}

#[test]
fn dev_killed_with_kill_9_leaves_no_redis_behind() {
    let (mut scheduler, client, folder) = dev();
    scheduler.kill();
    is_gone(&client, &folder);
}

#[test]
fn dev_prints_that_it_runs_and_a_command_that_shows_a_job() {
    let (scheduler, ..) = dev();
    let log = scheduler.log();
    assert!(log.contains("rescue-scheduler is running."), "{log}");
    let command = log.lines().find(|it| it.contains("redis-cli")).unwrap();
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", command]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains(r#"{"class":"t","args":[]}"#), "{printed}");
}

#[test]
fn flags_and_variables_of_the_gem_are_accepted_or_rejected_with_a_reason() {
    let mut redis = Redis::start();
    (0..5).for_each(|number| redis.delay(1_000, crate::harness::item("q", number)));
    let finished = Program::on(&redis)
        .args(["--once", "--logformat", "logfmt", "-n", "shop"])
        .env("INITIALIZER_PATH", "config/resque.rb")
        .env("DELAYED_REQUEUE_BATCH_SIZE", "2")
        .env("BACKGROUND", "")
        .run()
        .succeeded();
    for part in [
        "app=shop",
        "ignoring --initializer-path: the scheduler loads no Ruby code",
        "config/resque.rb",
    ] {
        assert!(
            finished.log.contains(part),
            "no {part} in:\n{}",
            finished.log
        );
    }
    assert_eq!(
        finished.log.matches("moved delayed jobs").count(),
        3,
        "2, 2 and 1"
    );

    let refused = Program::on(&redis).env("BACKGROUND", "yes").run();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.log.contains("under a supervisor"),
        "{}",
        refused.log
    );
}

#[test]
#[cfg(target_os = "linux")]
fn the_app_name_is_in_the_process_title() {
    let redis = Redis::start();
    let scheduler = Program::on(&redis).env("APP_NAME", "shop").start();
    scheduler.wait_for("became the leader holder=");
    let title = std::fs::read_to_string(format!("/proc/{}/comm", scheduler.pid())).unwrap();
    assert_eq!(title, "rescue:shop\n");
}

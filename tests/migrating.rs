//! Runs the commands of the dry run in docs/migrating.md, and checks what they print.

use std::{
    path::Path,
    process::{Command, Output},
};

use rescue_scheduler::store::free_port;

/// Returns the shell commands of the section, in order.
fn dry_run() -> String {
    let docs = include_str!("../docs/migrating.md");
    let section = docs.split("## A dry run").nth(1).unwrap();
    let blocks = section.split("```sh\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

#[test]
fn the_commands_of_the_dry_run_print_what_the_docs_say() {
    let commands = dry_run();
    assert!(commands.matches("7777").count() == 2, "{commands}");
    let port = free_port().unwrap().to_string();
    // Stops the server even if the commands fail.
    let clean_up = format!("trap 'redis-cli -p {port} SHUTDOWN NOSAVE >/dev/null 2>&1' EXIT");
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_rescue-scheduler"));
    let path = std::env::var_os("PATH").unwrap();
    let path = format!("{}:{}", program.parent().unwrap().display(), path.display());
    let mut shell = Command::new("bash");
    shell.current_dir(folder.path()).env("PATH", path);
    let Output { stdout, stderr, .. } = shell
        .args([
            "-xc",
            &format!("{clean_up}\n{}", commands.replace("7777", &port)),
        ])
        .output()
        .unwrap();
    let (output, trace) = (
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    );
    for expected in [
        "cancel_abandoned_orders  cron */5 * * * *",
        "args = { days = 7 }",
        "following leader=\"ruby-host:4711\"",
        "became the leader holder=",
        "moved delayed jobs jobs=1",
        "fired entry=\"heartbeat\"",
        "{\"class\":\"Mail\",\"args\":[]}",
        "stopped",
    ] {
        assert!(
            output.contains(expected),
            "no `{expected}` in:\n{output}\n{trace}"
        );
    }
    // The last command prints that the lock is free.
    assert_eq!(output.lines().last(), Some("0"), "{output}");
}

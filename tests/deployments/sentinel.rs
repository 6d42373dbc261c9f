//! A master, a replica, and three sentinels that promote the replica when the master is gone.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use redis::Commands;
use rescue_scheduler::store::free_port;
use tempfile::TempDir;

use super::{
    acl::{add_user, denied},
    program,
};
use crate::harness::{
    Redis, eventually, item, payload,
    ticks::{fire_times, goes_on_without_a_gap, wait_for_fires},
};

/// A sentinel process. Dropping it kills the process.
struct Sentinel {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Sentinel {
    fn watching(master: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port().unwrap());
        let config = folder.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n"
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("redis-server");
        command.arg(&config).arg("--sentinel").stdout(Stdio::null());
        let process = command.spawn().unwrap();
        Self {
            process,
            port,
            _folder: folder,
        }
    }

    /// Returns how many other sentinels and how many replicas of the master it knows.
    fn knows(&self) -> redis::RedisResult<(usize, usize)> {
        let client = redis::Client::open(("127.0.0.1", self.port))?;
        let mut connection = client.get_connection()?;
        let mut count = |what: &str| -> redis::RedisResult<usize> {
            let list: Vec<redis::Value> = redis::cmd("SENTINEL")
                .arg(what)
                .arg("main")
                .query(&mut connection)?;
            Ok(list.len())
        };
        Ok((count("sentinels")?, count("replicas")?))
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn after_a_sentinel_failover_the_scheduler_uses_the_new_master() {
    let mut master = Redis::on_port();
    let mut replica = Redis::on_port();
    for redis in [&mut master, &mut replica] {
        add_user(redis, "resque", &["+role"]);
    }
    replica.command(&format!("REPLICAOF 127.0.0.1 {}", master.port()));
    let sentinels = [(); 3].map(|()| Sentinel::watching(&master.port()));
    for sentinel in &sentinels {
        eventually(|| match sentinel.knows() {
            Ok((2, 1)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    let hosts = sentinels
        .each_ref()
        .map(|it| format!("localhost:{}", it.port));
    let url = format!("redis+sentinel://rescue:pw@{}/main", hosts.join(","));
    let scheduler = program(&url, &[]).start();
    wait_for_fires(&mut master, &scheduler, 2);
    let () = master
        .connection
        .set("resque:rescue_scheduler:marker", "x")
        .unwrap();
    let replicas: usize = redis::cmd("WAIT")
        .arg(&[1, 5000])
        .query(&mut master.connection)
        .unwrap();
    assert_eq!(replicas, 1);

    master.kill();
    scheduler
        .wait_for("cannot use Redis")
        .wait_for("Redis is back");
    // The sentinels closed all connections to the replica.
    replica.connection = replica.connect();
    let fires = goes_on_without_a_gap(&mut replica, &scheduler, 3);
    println!("{} fires, of which the new master has each", fires.len());
    replica.delay(1_000, item("q", 1));
    eventually(|| match replica.queue("q") {
        queue if queue == [payload(1)] => Ok(()),
        queue => Err(format!("{queue:?}")),
    });
    assert!(fire_times(&mut replica).len() >= fires.len());
    assert_eq!(denied(&mut replica), Vec::<String>::new());
}

#[test]
fn an_unknown_sentinel_service_is_reported() {
    let master = Redis::on_port();
    let sentinel = Sentinel::watching(&master.port());
    eventually(|| sentinel.knows());
    let url = format!("redis+sentinel://127.0.0.1:{}/mian", sentinel.port);
    let scheduler = program(&url, &[]).start();
    scheduler
        .wait_for("cannot use Redis")
        .wait_for("mian/0 of sentinels");
}

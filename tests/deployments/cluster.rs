//! A cluster of three masters, and a replica of the master that has our keys.

use nix::sys::signal::Signal;
use redis::RedisResult;
use rescue_scheduler::store::{Listen, PrivateServer, free_port};

use super::{
    acl::{add_user, denied},
    program, wait_until_skipped,
};
use crate::harness::{
    Redis, eventually,
    ticks::{assert_gapless, fire_time},
};

fn node() -> Redis {
    let bus = free_port().unwrap().to_string();
    let options = [
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        "1000",
        "--cluster-port",
        &bus,
    ];
    let options = [&options[..], &["--cluster-require-full-coverage", "no"]].concat();
    Redis::new(PrivateServer::launch("redis-server", Listen::Port, &options).unwrap())
}

/// Starts three masters with a third of the slots each, and joins them and all of `others` to a cluster.
fn cluster(others: &mut [Redis]) -> [Redis; 3] {
    let mut masters = [(); 3].map(|()| node());
    for (master, slots) in masters
        .iter_mut()
        .zip(["0 5460", "5461 10922", "10923 16383"])
    {
        master.command(&format!("CLUSTER ADDSLOTSRANGE {slots}"));
    }
    let bus = |node: &mut Redis| -> String {
        let (_, bus): (String, String) = redis::cmd("CONFIG")
            .arg(&["GET", "cluster-port"])
            .query(&mut node.connection)
            .unwrap();
        format!("127.0.0.1 {} {bus}", node.port())
    };
    let all: Vec<String> = masters.iter_mut().chain(&mut *others).map(bus).collect();
    for node in &all[1..] {
        masters[0].command(&format!("CLUSTER MEET {node}"));
    }
    for node in masters.iter_mut().chain(others) {
        eventually(|| {
            let info: String = info(node).unwrap();
            let known = format!("cluster_known_nodes:{}", all.len());
            let well = info.contains("cluster_state:ok") && info.contains(&known);
            if well { Ok(()) } else { Err(info) }
        });
    }
    masters
}

fn info(node: &mut Redis) -> RedisResult<String> {
    redis::cmd("CLUSTER")
        .arg("INFO")
        .query(&mut node.connection)
}

/// Waits until `node` has `count` fires in its queue, and returns their fire times.
fn wait_for_fires(node: &mut Redis, count: usize) -> Vec<i64> {
    eventually(|| {
        let queue: RedisResult<Vec<String>> = redis::cmd("LRANGE")
            .arg("{resque}:queue:ticks")
            .arg(&[0, -1])
            .query(&mut node.connection);
        match queue {
            Ok(queue) if queue.len() >= count => Ok(queue.iter().map(|it| fire_time(it)).collect()),
            other => Err(format!("{other:?}")),
        }
    })
}

#[test]
fn after_a_cluster_failover_no_fire_is_missing() {
    let mut replica = [node()];
    let mut masters = cluster(&mut replica);
    for node in masters.iter_mut().chain(&mut replica) {
        add_user(node, "{resque}", &["+ping", "+cluster|slots"]);
    }
    let [replica] = &mut replica;
    let slot: u16 = redis::cmd("CLUSTER")
        .arg(&["KEYSLOT", "{resque}:queues"])
        .query(&mut masters[0].connection)
        .unwrap();
    let [first, second, third] = &mut masters;
    let (owner, seed) = match slot {
        ..=5460 => (first, &*second),
        5461..=10922 => (second, &*third),
        _ => (third, &*second),
    };
    let id: String = redis::cmd("CLUSTER")
        .arg("MYID")
        .query(&mut owner.connection)
        .unwrap();
    replica.command(&format!("CLUSTER REPLICATE {id}"));

    let url = format!(
        "redis+cluster://rescue:pw@127.0.0.1:{},127.0.0.1:{}",
        owner.port(),
        seed.port()
    );
    let scheduler = program(&url, &["--namespace", "{resque}"]).start();
    let fires = wait_for_fires(owner, 3);
    wait_until_skipped(owner, "{resque}", &scheduler);
    let fires = wait_for_fires(owner, fires.len() + 1);
    eventually(|| {
        let copy: RedisResult<()> = redis::cmd("READONLY").exec(&mut replica.connection);
        copy.unwrap();
        let queue: usize = redis::cmd("LLEN")
            .arg("{resque}:queue:ticks")
            .query(&mut replica.connection)
            .unwrap();
        if queue >= fires.len() {
            Ok(())
        } else {
            Err(format!("{queue} are replicated"))
        }
    });
    assert_gapless(&fires);

    owner.kill();
    scheduler
        .wait_for("cannot use Redis")
        .wait_for("Redis is back");
    assert_gapless(&wait_for_fires(replica, fires.len() + 4));
    let () = redis::pipe()
        .rpush("{resque}:delayed:1000", r#"{"class":"C","queue":"q"}"#)
        .zadd("{resque}:delayed_queue_schedule", 1000, 1000)
        .query(&mut replica.connection)
        .unwrap();
    eventually(|| {
        let queue: Vec<String> = redis::cmd("LRANGE")
            .arg("{resque}:queue:q")
            .arg(&[0, -1])
            .query(&mut replica.connection)
            .unwrap();
        if queue == [r#"{"class":"C","args":[]}"#] {
            Ok(())
        } else {
            Err(scheduler.log())
        }
    });
    assert_eq!(denied(replica), Vec::<String>::new());
}

#[test]
fn a_cluster_node_that_hangs_does_not_stop_the_scheduler() {
    let mut masters = cluster(&mut []);
    let slot: usize = redis::cmd("CLUSTER")
        .arg(&["KEYSLOT", "{resque}:queues"])
        .query(&mut masters[0].connection)
        .unwrap();
    let owner = [5460, 10922, 16383]
        .iter()
        .position(|last| slot <= *last)
        .unwrap();
    let hangs = (owner + 1) % 3;
    masters[hangs].signal(Signal::SIGSTOP);
    let [owner_port, other_port] = [owner, hangs].map(|it| masters[it].port());
    let url = format!("redis+cluster://127.0.0.1:{owner_port},127.0.0.1:{other_port}");
    let scheduler = program(&url, &["--namespace", "{resque}"]).start();
    assert_gapless(&wait_for_fires(&mut masters[owner], 2));
    // Breaks all connections while the other node hangs.
    masters[owner].command("CLIENT KILL TYPE normal SKIPME yes");
    let before = wait_for_fires(&mut masters[owner], 1).len();
    assert_gapless(&wait_for_fires(&mut masters[owner], before + 3));
    masters[hangs].signal(Signal::SIGCONT);
    drop(scheduler);
}

#[test]
fn cluster_without_a_hash_tag_is_refused_at_the_start() {
    let finished = program("redis+cluster://127.0.0.1:1", &[]).run();
    assert_eq!(finished.status.code(), Some(1));
    let words = "expected for example `{resque}`, not `resque`";
    assert!(finished.log.contains(words), "{}", finished.log);
}

#[test]
fn the_error_for_the_url_of_a_cluster_node_names_the_url_of_a_cluster() {
    let masters = cluster(&mut []);
    for node in masters {
        let scheduler = program(node.url(), &["--namespace", "{elsewhere}"]).start();
        let said = || {
            scheduler
                .log()
                .contains("the URL of a cluster is redis+cluster://")
        };
        eventually(|| {
            let leads = scheduler.log().contains("became the leader holder=");
            if leads || said() {
                Ok(())
            } else {
                Err(scheduler.log())
            }
        });
        if said() {
            return;
        }
    }
    panic!("every node has all keys");
}

//! Faults of schedulers, networks and Redis. No fault makes Redis lose data.

use std::{
    collections::BTreeMap,
    fmt,
    sync::RwLock,
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use nix::sys::signal::Signal;
use redis::Commands as _;

use super::Host;
use crate::harness::{LOCK, Redis, now};

/// Longest duration of a fault in milliseconds.
const LONGEST_MS: u64 = 1_500;

/// Locked during faults of Redis with which apps and workers could not work. They wait until the fault is over.
pub type Gate = RwLock<()>;

/// Number of faults of each kind so far.
#[derive(Debug, Default)]
pub struct Faults(BTreeMap<&'static str, usize>);

/// Kills, cuts or stops one host, mostly the leader's.
pub fn strike(hosts: &mut [Host], redis: &mut Redis, random: &mut Rng, faults: &mut Faults) {
    let holder: Option<String> = redis.connection.get(LOCK).unwrap();
    let leader = hosts
        .iter()
        .position(|it| Some(it.scheduler.holder()) == holder);
    let struck = match leader {
        Some(leader) if random.u8(..10) < 7 => leader,
        _ => random.usize(..hosts.len()),
    };
    let host = &mut hosts[struck];
    let kind = match random.u8(..21) {
        0..=11 => {
            host.scheduler.kill();
            host.scheduler.start_again();
            if leader == Some(struck) {
                "leader killed with -9"
            } else {
                "follower killed with -9"
            }
        }
        12..=14 => {
            host.network.cut();
            "all connections of one cut"
        }
        15..=17 if lose_a_reply(host) => "cut between a script and its reply",
        15..=17 => return,
        18 => {
            host.network.isolate(true);
            pause(random);
            host.network.isolate(false);
            "isolated"
        }
        19 => {
            host.network.limit(20_000);
            pause(random);
            host.network.limit(0);
            "slow link (20 kB/s)"
        }
        _ => {
            host.scheduler.signal(Signal::SIGSTOP);
            pause(random);
            host.scheduler.signal(Signal::SIGCONT);
            "stopped (SIGSTOP)"
        }
    };
    faults.count(kind);
}

/// Waits until a reply is lost. Returns `false` if none was: an idle follower calls few scripts.
fn lose_a_reply(host: &Host) -> bool {
    let (before, asked) = (host.network.lost(), now());
    host.network.lose_replies(1);
    while host.network.lost() == before && asked.elapsed() < Duration::from_millis(1200) {
        thread::sleep(Duration::from_millis(5));
    }
    host.network.lose_replies(0);
    host.network.lost() > before
}

/// Causes a fault of Redis, which affects all schedulers. Returns when it was over.
pub fn strike_redis(
    redis: &mut Redis,
    gate: &Gate,
    random: &mut Rng,
    faults: &mut Faults,
) -> Instant {
    let kind = match random.u8(..10) {
        0 => {
            let milliseconds = random.u64(1..LONGEST_MS);
            redis.command(&format!("CLIENT PAUSE {milliseconds} ALL"));
            thread::sleep(Duration::from_millis(milliseconds));
            "CLIENT PAUSE"
        }
        1 => {
            let seconds = Duration::from_millis(random.u64(1..LONGEST_MS)).as_secs_f64();
            redis.command(&format!("DEBUG SLEEP {seconds}"));
            "DEBUG SLEEP"
        }
        2 => {
            redis.command("SCRIPT FLUSH");
            "SCRIPT FLUSH"
        }
        3 => {
            redis.command(&format!("DEL {LOCK}"));
            "lock deleted"
        }
        4 => {
            redis.command(&format!("SET {LOCK} thief:1 PX 1000"));
            "lock stolen for 1 s"
        }
        5 => {
            redis.command("ACL SETUSER scheduler -@all");
            pause(random);
            redis.command("ACL SETUSER scheduler +@all");
            "rights lost (ACL)"
        }
        6 => {
            let _closed = gate.write().unwrap();
            redis.command("CONFIG SET maxmemory 1");
            pause(random);
            redis.command("CONFIG SET maxmemory 0");
            "out of memory (maxmemory)"
        }
        7 => {
            let _closed = gate.write().unwrap();
            redis.command("REPLICAOF 127.0.0.1 1");
            pause(random);
            redis.command("REPLICAOF NO ONE");
            "a replica (REPLICAOF)"
        }
        8 => {
            let _closed = gate.write().unwrap();
            redis.command("CONFIG SET min-replicas-to-write 1");
            pause(random);
            redis.command("CONFIG SET min-replicas-to-write 0");
            "too few replicas (NOREPLICAS)"
        }
        _ => {
            let _closed = gate.write().unwrap();
            be_busy(redis, random);
            "busy with a script (BUSY)"
        }
    };
    faults.count(kind);
    now()
}

/// Runs an endless script and kills it after a while.
fn be_busy(redis: &mut Redis, random: &mut Rng) {
    let mut other = redis.connect();
    let busy = thread::spawn(move || {
        let endless = redis::cmd("EVAL")
            .arg("while true do end")
            .arg(0)
            .exec(&mut other);
        assert!(endless.is_err(), "it was killed");
    });
    // SCRIPT KILL fails until the script runs, and until Redis has been busy long enough to accept it.
    pause(random);
    while redis::cmd("SCRIPT")
        .arg("KILL")
        .exec(&mut redis.connection)
        .is_err()
    {
        thread::sleep(Duration::from_millis(5));
    }
    busy.join().unwrap();
}

fn pause(random: &mut Rng) {
    thread::sleep(Duration::from_millis(random.u64(..LONGEST_MS)));
}

impl Faults {
    fn count(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }

    pub fn total(&self) -> usize {
        self.0.values().sum()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.0 {
            writeln!(f, "| {kind} | {count} |")?;
        }
        Ok(())
    }
}

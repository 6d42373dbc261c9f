//! Together with the scheduler of the Ruby gem, whose exact lock commands are replayed (docs/protocol.md).

use redis::{Commands, Connection};

use crate::harness::{
    LOCK, Program, Redis, Scheduler, eventually,
    ticks::{EACH_SECOND, wait_for_fires},
};

/// The lock of resque-scheduler 5.0, taken and renewed as its process does.
struct Gem {
    value: &'static str,
    redis: Connection,
}

impl Gem {
    const TTL: i64 = 180;

    fn on(redis: &Redis) -> Self {
        let value = "ruby-host:4711";
        let redis = redis.connect();
        Self { value, redis }
    }

    /// Runs one pass of its loop. Returns whether it is the leader.
    fn acquires(&mut self) -> bool {
        let taken: bool = self.redis.set_nx(LOCK, self.value).unwrap();
        let holder: Option<String> = self.redis.get(LOCK).unwrap();
        let leads = taken || holder.as_deref() == Some(self.value);
        if leads {
            let () = self.redis.expire(LOCK, Self::TTL).unwrap();
        }
        leads
    }

    /// Stops cleanly.
    fn stops(&mut self) {
        let holder: Option<String> = self.redis.get(LOCK).unwrap();
        assert_eq!(
            holder.as_deref(),
            Some(self.value),
            "its lock was taken from it"
        );
        let () = self.redis.del(LOCK).unwrap();
    }
}

fn start(redis: &Redis) -> Scheduler {
    Program::on(redis)
        .args(["--lease", "1s"])
        .schedule(EACH_SECOND)
        .start()
}

#[test]
fn ours_follows_while_the_gem_leads_and_takes_over_when_it_stops() {
    let mut redis = Redis::start();
    let mut gem = Gem::on(&redis);
    assert!(gem.acquires());
    let ours = start(&redis);
    ours.wait_for("following leader=\"ruby-host:4711\"");
    // Stay the leader for longer than our lease.
    for _ in 0..3 {
        std::thread::sleep(std::time::Duration::from_millis(500));
        assert!(gem.acquires(), "{}", ours.log());
    }
    assert_eq!(redis.queue("ticks").len(), 0, "{}", ours.log());
    gem.stops();
    ours.wait_for("became the leader holder=");
    wait_for_fires(&mut redis, &ours, 1);
}

#[test]
fn the_gem_waits_while_ours_leads_and_takes_over_when_ours_stops() {
    let mut redis = Redis::start();
    let mut gem = Gem::on(&redis);
    let mut ours = start(&redis);
    wait_for_fires(&mut redis, &ours, 1);
    assert!(!gem.acquires());
    ours.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(ours.ended().code(), Some(0), "{}", ours.log());
    assert!(gem.acquires());
    let ours = start(&redis);
    ours.wait_for("following leader=\"ruby-host:4711\"");
    gem.stops();
    ours.wait_for("became the leader holder=");
}

#[test]
fn the_gem_takes_over_from_ours_that_was_killed() {
    let mut redis = Redis::start();
    let mut gem = Gem::on(&redis);
    let mut ours = start(&redis);
    wait_for_fires(&mut redis, &ours, 1);
    ours.kill();
    eventually(|| {
        if gem.acquires() {
            Ok(())
        } else {
            Err("ours still leads")
        }
    });
}

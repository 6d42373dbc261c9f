//! Redis loses all its data.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::clocks::{Moved, YEAR, becomes, engine_on, guarded, held_by, run};
use crate::harness::{
    LOCK, Program, Redis,
    ticks::{
        EACH_SECOND, assert_gapless, fire_time, fire_times, goes_on_without_a_gap, wait_for_fires,
    },
};

#[tokio::test]
async fn a_former_leader_does_not_repeat_the_fires_of_the_leader_after_it() {
    let mut redis = Redis::start();
    let clocks = [0, 1].map(|_| Arc::new(Moved(AtomicI64::new(0))));
    let engines = [0, 1].map(|number| engine_on(guarded(&redis, number), &clocks[number]));
    let stop = CancellationToken::new();
    let check = async {
        becomes(|| fire_times(&mut redis).len() >= 2, true).await;
        let first = usize::from(held_by(&mut redis.connection).as_deref() == Some("here:1"));
        let [first_clock, other_clock] = [&clocks[first], &clocks[1 - first]];
        first_clock.0.store(YEAR, Ordering::Relaxed);
        let other = Some(format!("here:{}", 1 - first));
        becomes(|| held_by(&mut redis.connection), other).await;
        first_clock.0.store(0, Ordering::Relaxed);
        let before = fire_times(&mut redis).len();
        becomes(|| fire_times(&mut redis).len() >= before + 3, true).await;

        // Neither of them reads Redis while a third process is the leader. After that, only the first one leads.
        let mut forget = redis::pipe();
        forget.atomic().lrange("resque:queue:ticks", 0, -1);
        forget.cmd("FLUSHALL").ignore();
        forget
            .cmd("SET")
            .arg(LOCK)
            .arg("third:1")
            .arg("PX")
            .arg(2_000);
        let (lost, ()): (Vec<String>, ()) = forget.query(&mut redis.connection).unwrap();
        other_clock.0.store(YEAR, Ordering::Relaxed);
        becomes(|| fire_times(&mut redis).len() >= 2, true).await;
        let fires: Vec<i64> = lost
            .iter()
            .map(|it| fire_time(it))
            .chain(fire_times(&mut redis))
            .collect();
        assert!(fires.is_sorted_by(|a, b| a < b), "{fires:?}");
        stop.cancel();
    };
    let [one, other] = engines;
    tokio::join!(run(one, &stop), run(other, &stop), check);
}

/// Restarts Redis without its data after `outage`. Returns the last fire before, and all fires after that.
fn restarted_without_data(lease: &str, outage: Duration) -> (i64, Vec<i64>) {
    let mut redis = Redis::start();
    let scheduler = Program::on(&redis)
        .args(["--lease", lease])
        .schedule(EACH_SECOND)
        .start();
    let last = *wait_for_fires(&mut redis, &scheduler, 2).last().unwrap();
    redis.kill();
    scheduler.wait_for("cannot use Redis");
    std::thread::sleep(outage);
    redis.revive();
    (last, goes_on_without_a_gap(&mut redis, &scheduler, 4))
}

#[test]
fn a_leader_continues_from_memory_while_nobody_else_can_have_led() {
    let (last, fires) = restarted_without_data("15s", Duration::from_secs(3));
    assert!(fires[0] <= last + 1, "{last} {fires:?}");
}

#[test]
fn after_more_than_a_lease_without_redis_entries_are_first_seen_again() {
    let (last, fires) = restarted_without_data("1s", Duration::from_secs(3));
    assert!(fires[0] >= last + 3, "{last} {fires:?}");
}

#[test]
fn repeated_flushes_of_redis_double_no_fire() {
    let mut redis = Redis::start();
    let scheduler = Program::on(&redis).schedule(EACH_SECOND).start();
    let mut fires = vec![];
    for _ in 0..3 {
        wait_for_fires(&mut redis, &scheduler, 2);
        let mut forget = redis::pipe();
        forget.atomic().lrange("resque:queue:ticks", 0, -1);
        forget.cmd("FLUSHALL").ignore();
        let (lost,): (Vec<String>,) = forget.query(&mut redis.connection).unwrap();
        fires.extend(lost.iter().map(|it| fire_time(it)));
    }
    fires.extend(wait_for_fires(&mut redis, &scheduler, 2));
    assert_gapless(&fires);
}

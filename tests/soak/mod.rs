//! Three schedulers, a chaos that kills them and cuts their connections, apps that add and remove
//! delayed jobs, and workers that take all jobs and count. A short run in CI; `make soak` for longer.

mod apps;
mod verdict;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use redis::Commands;

use self::{apps::Apps, verdict::Worker};
use crate::harness::{LOCK, Program, Redis, Scheduler, argument, now, proxy::Proxy};

/// Entries that fire each second.
const ENTRIES: usize = 5;

/// A scheduler and its own network.
struct Host {
    scheduler: Scheduler,
    network: Proxy,
}

/// What was done to the schedulers.
#[derive(Debug, Default)]
struct Faults {
    kills: usize,
    leaders_killed: usize,
    cuts: usize,
    replies_lost: usize,
    isolated: usize,
    stopped: usize,
}

fn schedule() -> String {
    let entry = |number| {
        format!(
            "[schedule.entry{number}]\nevery = \"1s\"\nclass = \"Tick\"\nqueue = \"ticks{number}\"\n\
             include_metadata = true\ncatch_up = \"all\"\ncatch_up_window = \"1h\"\n"
        )
    };
    (0..ENTRIES).map(entry).collect()
}

impl Host {
    fn on(redis: &Redis) -> Self {
        let network = Proxy::to(redis);
        // One lease is enough for a kill each second.
        let program =
            Program::new().args(["--redis-url", &network.url(), "--lease", "1s", "--quiet"]);
        let scheduler = program.schedule(&schedule()).start();
        Self { scheduler, network }
    }
}

/// One fault, chosen by `random`; it is over when this returns, but for its consequences.
fn strike(hosts: &mut [Host], redis: &mut Redis, random: &mut fastrand::Rng, faults: &mut Faults) {
    let holder: Option<String> = redis.connection.get(LOCK).unwrap();
    let leader = hosts
        .iter()
        .position(|it| Some(it.scheduler.holder()) == holder);
    // Mostly the leader.
    let struck = match leader {
        Some(leader) if random.u8(..10) < 7 => leader,
        _ => random.usize(..hosts.len()),
    };
    let host = &mut hosts[struck];
    match random.u8(..20) {
        0..=11 => {
            faults.kills += 1;
            faults.leaders_killed += usize::from(leader == Some(struck));
            host.scheduler.kill();
            host.scheduler.start_again();
        }
        12..=14 => {
            host.network.cut();
            faults.cuts += 1;
        }
        15..=17 => {
            let (before, asked) = (host.network.lost(), now());
            host.network.lose_replies(1);
            while host.network.lost() == before && asked.elapsed() < Duration::from_millis(1200) {
                thread::sleep(Duration::from_millis(5));
            }
            host.network.lose_replies(0);
            faults.replies_lost += host.network.lost() - before;
        }
        18 => {
            host.network.isolate(true);
            thread::sleep(Duration::from_millis(random.u64(..1500)));
            host.network.isolate(false);
            faults.isolated += 1;
        }
        _ => {
            host.scheduler.signal(Signal::SIGSTOP);
            thread::sleep(Duration::from_millis(random.u64(..1500)));
            host.scheduler.signal(Signal::SIGCONT);
            faults.stopped += 1;
        }
    }
}

/// `SOAK_SECONDS` long, from the seed `SOAK_SEED`, with `SOAK_JOBS` delayed jobs a second.
#[test]
fn soak() {
    let seconds = argument("SOAK_SECONDS", 20);
    let seed = argument("SOAK_SEED", fastrand::u64(..));
    let rate = argument("SOAK_JOBS", 500);
    println!("SOAK_SECONDS={seconds} SOAK_SEED={seed} SOAK_JOBS={rate}");
    let mut redis = Redis::start();
    let mut hosts: Vec<Host> = (0..3).map(|_| Host::on(&redis)).collect();
    let over = Arc::new(AtomicBool::new(false));
    let worker = Worker::start(&redis, ENTRIES, Arc::clone(&over));
    let length = Duration::from_secs(seconds);
    let apps = Apps::start(&redis, length, rate, seed);

    let (started, mut faults) = (now(), Faults::default());
    let mut random = fastrand::Rng::with_seed(seed);
    while started.elapsed() < length {
        thread::sleep(Duration::from_millis(random.u64(100..700)));
        strike(&mut hosts, &mut redis, &mut random, &mut faults);
    }
    let apps = apps.join();
    redis.wait_until_all_are_moved();
    // All are well again, and fire on time: what is to be caught up with is caught up with.
    thread::sleep(Duration::from_secs(3));
    over.store(true, Ordering::SeqCst);
    let verdict = worker.join(&apps);

    println!("\n| workload, faults | |\n| --- | --- |");
    println!("| seconds | {} |", started.elapsed().as_secs());
    println!(
        "| killed with -9 (leaders) | {} ({}) |",
        faults.kills, faults.leaders_killed
    );
    println!("| all connections of one cut | {} |", faults.cuts);
    println!(
        "| cut between a script and its reply | {} |",
        faults.replies_lost
    );
    println!("| isolated for up to 1.5 s | {} |", faults.isolated);
    println!("| stopped (SIGSTOP) for up to 1.5 s | {} |", faults.stopped);
    println!("{verdict}");
    assert!(faults.kills > 0 && faults.cuts + faults.replies_lost > 0);
    assert!(verdict.is_good(), "see above");
}

//! Three schedulers, faults that kill them, cut their connections and disturb their Redis, apps that add and
//! remove delayed jobs, and workers that take and count all jobs. CI runs this for a short time, `make soak` for
//! longer.

mod apps;
mod faults;
mod verdict;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use self::{
    apps::Apps,
    faults::{Faults, Gate, strike, strike_redis},
    verdict::Worker,
};
use crate::harness::{Program, Redis, Scheduler, argument, now, proxy::Proxy};

/// Number of entries. Each fires every second.
const ENTRIES: usize = 5;

/// A scheduler and its own network.
struct Host {
    scheduler: Scheduler,
    network: Proxy,
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
        let url = format!("{}?user=scheduler&pass=pw", network.url());
        // With this lease, a follower takes over within about a second.
        let program = Program::new().args(["--redis-url", &url, "--lease", "1s", "--quiet"]);
        // The verdict needs the records of all fires.
        let program = program.args(["--history", "1000000"]);
        let scheduler = program.schedule(&schedule()).start();
        Self { scheduler, network }
    }
}

/// Runs for `SOAK_SECONDS` with the random seed `SOAK_SEED` and `SOAK_JOBS` delayed jobs per second.
#[test]
fn soak() {
    let seconds = argument("SOAK_SECONDS", 20);
    let seed = argument("SOAK_SEED", fastrand::u64(..));
    let rate = argument("SOAK_JOBS", 500);
    println!("SOAK_SECONDS={seconds} SOAK_SEED={seed} SOAK_JOBS={rate}");
    let mut redis = Redis::with(&["--enable-debug-command", "yes"]);
    redis.command("ACL SETUSER scheduler on >pw ~* &* +@all");
    redis.command("CONFIG SET busy-reply-threshold 50");
    let gate = Arc::new(Gate::default());
    let mut hosts: Vec<Host> = (0..3).map(|_| Host::on(&redis)).collect();
    let over = Arc::new(AtomicBool::new(false));
    let worker = Worker::start(&redis, ENTRIES, &gate, Arc::clone(&over));
    let length = Duration::from_secs(seconds);
    let enough = Arc::new(AtomicBool::new(false));
    let apps = Apps::start(&redis, rate, seed, &gate, Arc::clone(&enough));

    let (started, mut faults) = (now(), Faults::default());
    let mut random = fastrand::Rng::with_seed(seed);
    let mut silence = Duration::ZERO;
    while started.elapsed() < length {
        for _ in 0..random.usize(1..8) {
            thread::sleep(Duration::from_millis(random.u64(100..700)));
            strike(&mut hosts, &mut redis, &mut random, &mut faults);
        }
        let over = strike_redis(&mut redis, &gate, &mut random, &mut faults);
        worker.wait_for_both_loops();
        silence = silence.max(over.elapsed());
    }
    enough.store(true, Ordering::SeqCst);
    let apps = apps.join();
    redis.wait_until_all_are_moved();
    // Without faults, the schedulers have time to catch up all missed fires.
    thread::sleep(Duration::from_secs(3));
    over.store(true, Ordering::SeqCst);
    let verdict = worker.join(&apps, &mut redis);

    println!("\n| workload, faults | |\n| --- | --- |");
    println!("| seconds | {} |", started.elapsed().as_secs());
    print!("{faults}");
    println!("{verdict}");
    let silence = silence.as_secs_f64();
    println!("longest silence of a loop after a fault of Redis: {silence:.1} s");
    assert!(faults.total() > 0);
    assert!(silence < 5.0, "a loop was silent for {silence:.1} s");
    assert!(verdict.is_good(), "see above");
}

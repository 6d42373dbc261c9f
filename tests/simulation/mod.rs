//! Runs the real engine of two schedulers on a model of Redis, in simulated time: thousands of runs, each with
//! crashes, lost and late messages, outages, failovers, data losses, suspended hosts, and clocks that jump by up to
//! a year.
//!
//! Everything random in a run comes from its seed, so you can repeat a failure with `SIMULATION_SEED=123 cargo test
//! simulation`. `SIMULATION_RUNS=100000` runs more seeds.

mod buckets;
mod changing;
mod conformance;
mod history;
mod laws;
mod model;
mod network;
mod records;
mod scenario;
mod store;
mod world;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use self::{scenario::Outcome, world::Counts};

/// Number of runs. An ordinary test always uses the same seeds, so it always passes or always fails.
const RUNS: u64 = 2_000;
const RUNS_WITH_CHANGES: u64 = 100;

/// Simulates one run on this thread.
fn simulate<F: Future<Output = Outcome>>(seed: u64, run: impl Fn(u64) -> F) -> Outcome {
    // The engine's jitter comes from the seed, too.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(run(seed))
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var_os(variable)?;
    Some(value.to_str().and_then(|it| it.parse().ok()).unwrap())
}

fn add(counts: &mut Counts, others: Counts) {
    for (what, count) in others {
        *counts.entry(what).or_default() += count;
    }
}

/// Simulates many runs on all processors, or only the run of `SIMULATION_SEED`.
fn simulate_all<F: Future<Output = Outcome>>(runs: u64, run: impl Fn(u64) -> F + Sync) {
    let only = number("SIMULATION_SEED");
    let runs = number("SIMULATION_RUNS").unwrap_or(runs);
    let (first, after) = only.map_or((0, runs), |seed| (seed, seed + 1));
    let next = AtomicU64::new(first);
    let work = || {
        let mut counts = Counts::default();
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= after {
                return counts;
            }
            let outcome = simulate(seed, &run);
            if let Some(broken) = outcome.broken {
                next.store(after, Relaxed);
                panic!("SIMULATION_SEED={seed}: {broken}");
            }
            add(&mut counts, outcome.counts);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let counts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut counts = Counts::default();
        for worker in workers {
            add(&mut counts, worker.join().unwrap());
        }
        counts
    });
    println!("{} runs: {counts:#?}", after - first);
}

#[test]
fn two_schedulers_keep_the_laws_whatever_happens() {
    simulate_all(RUNS, scenario::simulate);
}

#[test]
fn schedules_that_change_and_differ_keep_the_laws_whatever_happens() {
    simulate_all(RUNS_WITH_CHANGES, changing::simulate);
}

#[test]
fn two_leaders_that_first_see_entries_at_once_lose_no_fire() {
    for seed in 0..50 {
        let broken = simulate(seed, scenario::first_sight).broken;
        assert_eq!(broken, None, "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let trace = |seed| simulate(seed, scenario::simulate).trace;
    for seed in 0..5 {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
        assert_ne!(trace(seed), trace(seed + 1_000));
        let trace = |seed| simulate(seed, changing::simulate).trace;
        assert_eq!(trace(seed), trace(seed), "seed {seed}, with changes");
        assert_ne!(trace(seed), trace(seed + 1_000));
    }
}

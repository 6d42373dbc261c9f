//! A worker that takes every job from its queue, and the verdict on the jobs that it took.

use std::{
    collections::BTreeSet,
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use redis::Connection;

use super::{apps::Jobs, faults::Gate};
use crate::harness::{
    Redis, eventually,
    ticks::{enqueued_by_history, fire_time},
    unix_now,
};

/// A job that was taken: when, its number, and its timestamp.
type Taken = (i64, usize, i64);

/// A thread that takes all jobs until the test is over.
pub struct Worker {
    thread: JoinHandle<Collected>,
    seen: Arc<Seen>,
}

/// Number of jobs that were taken so far.
#[derive(Default)]
struct Seen {
    jobs: AtomicUsize,
    fires: AtomicUsize,
}

#[derive(Default)]
struct Collected {
    /// Delayed jobs in the order of their queue.
    jobs: Vec<Taken>,
    /// Fire times of each entry in the order of its queue, and the number of fires that came early.
    fires: Vec<Vec<i64>>,
    early_fires: usize,
    /// When the last round was done, Unix seconds.
    end: i64,
}

impl Worker {
    pub fn start(redis: &Redis, entries: usize, gate: &Arc<Gate>, over: Arc<AtomicBool>) -> Self {
        let (connection, gate) = (redis.connect(), Arc::clone(gate));
        let seen = Arc::<Seen>::default();
        let to_see = Arc::clone(&seen);
        let thread = thread::spawn(move || collect(connection, entries, &gate, &to_see, &over));
        Self { thread, seen }
    }

    /// Waits until another fire and another delayed job have been taken.
    pub fn wait_for_both_loops(&self) {
        let Seen { jobs, fires } = &*self.seen;
        let before = [jobs, fires].map(|it| it.load(Ordering::SeqCst));
        eventually(|| {
            let now = [jobs, fires].map(|it| it.load(Ordering::SeqCst));
            let both = now[0] > before[0] && now[1] > before[1];
            both.then_some(()).ok_or("a loop is silent")
        });
    }

    /// Waits for the thread and judges what it took, and the histories in `redis`.
    pub fn join(self, jobs: &Jobs, redis: &mut Redis) -> Verdict {
        let collected = self.thread.join().unwrap();
        Verdict {
            wrong_histories: wrong_histories(&collected.fires, redis),
            ..judge(&collected, jobs)
        }
    }
}

fn collect(
    mut redis: Connection,
    entries: usize,
    gate: &Gate,
    seen: &Seen,
    over: &AtomicBool,
) -> Collected {
    let mut collected = Collected {
        fires: vec![vec![]; entries],
        ..Collected::default()
    };
    loop {
        let last_round = over.load(Ordering::SeqCst);
        let mut pops = redis::pipe();
        pops.lpop("resque:queue:bulk", NonZeroUsize::new(5_000));
        for entry in 0..entries {
            pops.lpop(
                format!("resque:queue:ticks{entry}"),
                NonZeroUsize::new(1_000),
            );
        }
        let open = gate.read().unwrap();
        let popped: Vec<Option<Vec<String>>> = pops.query(&mut redis).unwrap();
        drop(open);
        let now = unix_now();
        let mut popped = popped.into_iter().map(Option::unwrap_or_default);
        let jobs = popped.next().unwrap();
        seen.jobs.fetch_add(jobs.len(), Ordering::SeqCst);
        let done = last_round && jobs.is_empty();
        collected
            .jobs
            .extend(jobs.iter().map(|job| taken(now, job)));
        for (fires, popped) in collected.fires.iter_mut().zip(popped) {
            let popped = popped.iter().map(|it| fire_time(it));
            let before = fires.len();
            fires.extend(popped);
            let taken = fires.len() - before;
            seen.fires.fetch_add(taken, Ordering::SeqCst);
            collected.early_fires += fires[before..].iter().filter(|it| **it > now).count();
        }
        if done {
            collected.end = now;
            return collected;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn taken(now: i64, payload: &str) -> Taken {
    let numbers = payload
        .strip_prefix(r#"{"class":"Job","args":["#)
        .and_then(|it| it.strip_suffix("]}"));
    let (number, timestamp) = numbers.and_then(|it| it.split_once(',')).unwrap();
    (now, number.parse().unwrap(), timestamp.parse().unwrap())
}

/// What became of the jobs.
#[derive(Debug, Default)]
pub struct Verdict {
    jobs: usize,
    removed: usize,
    fires: usize,
    lost: usize,
    doubled: usize,
    early: usize,
    out_of_order: usize,
    lost_fires: usize,
    doubled_fires: usize,
    /// Number of fires that were taken but are missing in a history, or the reverse.
    wrong_histories: usize,
}

/// Counts the fires that were taken but are missing in a history, or the reverse.
fn wrong_histories(fires: &[Vec<i64>], redis: &mut Redis) -> usize {
    let entry = |(number, fires): (usize, &Vec<i64>)| {
        let recorded = enqueued_by_history(redis, &format!("entry{number}"));
        let last = fires.last().copied().unwrap_or_default();
        let recorded: BTreeSet<i64> = recorded.into_iter().filter(|it| *it <= last).collect();
        let taken: BTreeSet<i64> = fires.iter().copied().collect();
        recorded.symmetric_difference(&taken).count()
    };
    fires.iter().enumerate().map(entry).sum()
}

fn judge(collected: &Collected, jobs: &Jobs) -> Verdict {
    let mut verdict = Verdict {
        jobs: jobs.timestamps.len(),
        early: collected.early_fires,
        ..Verdict::default()
    };
    // A job that an app removed counts as taken once.
    let mut times: Vec<usize> = jobs.removed.iter().map(|it| usize::from(*it)).collect();
    verdict.removed = times.iter().sum();
    for &(now, number, timestamp) in &collected.jobs {
        times[number] += 1;
        verdict.early += usize::from(timestamp > now);
    }
    verdict.lost = times.iter().filter(|it| **it == 0).count();
    verdict.doubled = times.iter().filter(|it| **it > 1).count();
    let order = |it: &Taken| (it.2, it.1);
    let pairs = collected.jobs.windows(2);
    verdict.out_of_order = pairs.filter(|it| order(&it[0]) > order(&it[1])).count();
    for fires in &collected.fires {
        verdict.fires += fires.len();
        for pair in fires.windows(2) {
            match pair[1] - pair[0] {
                1 => {}
                ..=0 => verdict.doubled_fires += 1,
                gap => verdict.lost_fires += usize::try_from(gap - 1).unwrap(),
            }
        }
        // The fires of this second and of the one before may not have been enqueued yet.
        let last = fires.last().copied().unwrap_or_default();
        let missing = (collected.end - 2 - last).max(0);
        verdict.lost_fires += usize::try_from(missing).unwrap();
    }
    verdict
}

impl Verdict {
    pub fn is_good(&self) -> bool {
        let bad = [self.lost, self.doubled, self.early, self.out_of_order];
        let fires = [self.lost_fires, self.doubled_fires, self.wrong_histories];
        bad == [0; 4] && fires == [0; 3] && self.fires > 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| delayed jobs (of them removed by apps) | {} ({}) |",
            self.jobs, self.removed
        )?;
        writeln!(f, "| recurring fires | {} |", self.fires)?;
        writeln!(
            f,
            "\n| verdict | delayed jobs | recurring fires |\n| --- | --- | --- |"
        )?;
        writeln!(f, "| lost | {} | {} |", self.lost, self.lost_fires)?;
        writeln!(
            f,
            "| doubled, or removed and enqueued | {} | {} |",
            self.doubled, self.doubled_fires
        )?;
        writeln!(f, "| early (both) | {} | |", self.early)?;
        writeln!(
            f,
            "| out of order | {} | (counted above) |",
            self.out_of_order
        )?;
        writeln!(
            f,
            "| not as its history says | | {} |",
            self.wrong_histories
        )
    }
}

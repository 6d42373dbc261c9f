//! Reloads the schedule files. A schedule with an error changes nothing.
//!
//! The files are read on threads beside the loops, because reading can hang, for example on a lost mount.

use std::{future, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinError, JoinSet},
    time::{Sleep, sleep},
};

use crate::{
    config::Mistakes,
    core::schedule::{Changes, Schedule},
    engine::{
        command::{ReloadOutcome, Reply, all, answer},
        health::{Health, HealthPart},
        rethrow::rethrow,
    },
    events::{Event, Events},
};

/// Reads the schedule files. May block.
pub type Load = Arc<dyn Fn() -> Result<Schedule, Mistakes> + Send + Sync>;

/// Time limit of a reload.
const LIMIT: Duration = Duration::from_secs(30);
/// Maximum number of threads that hang in timed-out reloads.
const MAX_HANGING: usize = 3;

/// Reads schedules and puts them in force. A schedule that is rejected, or that takes too long to read, changes
/// nothing (docs/design.md, law 7).
pub(super) struct Reloads<'a> {
    load: Load,
    in_force: &'a watch::Sender<Arc<Schedule>>,
    health: Health,
    events: Events,
    /// One thread for each reload that has not ended, including those that timed out.
    threads: JoinSet<Read>,
    /// Number of the current reload.
    number: u64,
    /// Deadline of the current reload, if there is one.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Requesters of the current reload.
    asked_by: Vec<oneshot::Sender<ReloadOutcome>>,
}

/// Result of a thread: the number of its reload, and the new schedule if it has no errors.
type Read = (u64, Result<(Schedule, Changes), Arc<Mistakes>>);

impl<'a> Reloads<'a> {
    pub(super) fn new(
        load: &Load,
        in_force: &'a watch::Sender<Arc<Schedule>>,
        health: &Health,
        events: &Events,
    ) -> Self {
        Self {
            load: Arc::clone(load),
            in_force,
            health: health.clone(),
            events: events.clone(),
            threads: JoinSet::new(),
            number: 0,
            deadline: None,
            asked_by: vec![],
        }
    }

    /// Handles one reload at a time, forever. Requests that arrive during a reload share one reload after it.
    ///
    /// # Panics
    /// If reading the schedule panicked.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Reply<ReloadOutcome>>) {
        loop {
            tokio::select! {
                asked_by = all(&mut requests), if self.deadline.is_none() => {
                    self.asked_by = asked_by;
                    self.begin();
                }
                Some(read) = self.threads.join_next() => self.end(read),
                () = until(&mut self.deadline) => self.give_up(),
            }
        }
    }

    fn begin(&mut self) {
        let hanging = self.threads.len();
        if hanging >= MAX_HANGING {
            self.events.emit(&Event::ReloadImpossible { hanging });
            self.answer(&ReloadOutcome::Impossible);
            return;
        }
        self.number += 1;
        self.deadline = Some(Box::pin(sleep(LIMIT)));
        let (load, number) = (Arc::clone(&self.load), self.number);
        let (old, events) = (Arc::clone(&self.in_force.borrow()), self.events.clone());
        self.threads.spawn_blocking(move || match load() {
            Ok(new) => {
                let changes = old.changes_to(&new);
                (number, Ok((new, changes)))
            }
            Err(report) => {
                events.emit(&Event::ReloadRejected { report: &report });
                (number, Err(Arc::new(report)))
            }
        });
    }

    fn end(&mut self, read: Result<Read, JoinError>) {
        match read {
            // A reload that timed out changes nothing when it ends.
            Ok((number, _)) if number != self.number || self.deadline.is_none() => {}
            Ok((_, read)) => {
                self.deadline = None;
                self.take_up(read);
            }
            Err(ended) => rethrow(Err(ended)),
        }
    }

    fn take_up(&mut self, read: Result<(Schedule, Changes), Arc<Mistakes>>) {
        match read {
            Ok((new, changes)) => {
                self.health.set(HealthPart::Schedule, None);
                self.events.emit(&Event::Reloaded(&changes));
                self.in_force.send_replace(Arc::new(new));
                self.answer(&ReloadOutcome::Reloaded(changes));
            }
            Err(mistakes) => {
                let problem = "the last reload was rejected; the schedule has errors (see the log)";
                self.health
                    .set(HealthPart::Schedule, Some(problem.to_owned()));
                self.answer(&ReloadOutcome::Rejected(mistakes));
            }
        }
    }

    fn answer(&mut self, outcome: &ReloadOutcome) {
        answer(std::mem::take(&mut self.asked_by), outcome);
    }

    fn give_up(&mut self) {
        self.deadline = None;
        self.answer(&ReloadOutcome::GivenUp);
        self.events.emit(&Event::ReloadGivenUp { limit: LIMIT });
        let problem = format!("the last reload took longer than {} s", LIMIT.as_secs());
        self.health.set(HealthPart::Schedule, Some(problem));
    }
}

async fn until(deadline: &mut Option<Pin<Box<Sleep>>>) {
    match deadline {
        Some(deadline) => deadline.await,
        None => future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;
    use crate::engine::command::Commands;

    /// Runs everything that can run without time passing.
    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_that_hangs_times_out_and_threads_do_not_accumulate() {
        let (release, hanging) = mpsc::channel::<()>();
        let hanging = Mutex::new(hanging);
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reads);
        let load: Load = Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = hanging.lock().unwrap().recv();
            Ok(Schedule::default())
        });
        let (in_force, published) = watch::channel(Arc::default());
        let (health, events) = (Health::default(), Events::default());
        let (commands, requests) = Commands::new();
        let reloads = Reloads::new(&load, &in_force, &health, &events);
        let mut reloads = Box::pin(reloads.run(requests.reload));
        let test = async {
            for number in 1..=5 {
                commands.request_reload();
                settle().await;
                tokio::time::advance(LIMIT).await;
                settle().await;
                let problem = "the last reload took longer than 30 s";
                assert_eq!(health.problems(), [problem], "reload {number}");
            }
            drop(release);
            while reads.load(Ordering::SeqCst) < MAX_HANGING {
                tokio::task::yield_now().await;
            }
            // The reloads that timed out end and change nothing.
            settle().await;
            assert!(!published.has_changed().unwrap());
            while !published.has_changed().unwrap() {
                commands.request_reload();
                tokio::task::yield_now().await;
            }
            assert!(health.problems().is_empty());
        };
        tokio::select! {
            () = &mut reloads => unreachable!(),
            () = test => {}
        }
        // The last request may have been handled too.
        assert!(reads.load(Ordering::SeqCst) > MAX_HANGING);
    }
}

//! Queues that refuse delayed jobs, because their key has the wrong type or our user may not write it.
//!
//! If jobs for a queue stay in their buckets, its later jobs are held there, too, until the queue takes jobs: if they
//! were tried, they would overtake the earlier ones when the queue is mended.

use std::collections::BTreeMap;

/// How many queues are remembered.
const MOST: usize = 1_000;

/// Why a queue refuses jobs.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reason: String,
    /// Our user may not write it.
    pub(super) denied: bool,
    /// Its jobs are not tried.
    pub(super) holds: bool,
}

/// Queues that refused jobs, by name.
#[derive(Debug, Default)]
pub(super) struct Refusing(BTreeMap<String, Refusal>);

impl Refusing {
    /// Takes note of a queue that refused a job.
    pub(super) fn insert(&mut self, queue: String, refusal: Refusal) {
        if self.0.len() < MOST {
            self.0.insert(queue, refusal);
        }
    }

    /// Takes note of a queue that took a job.
    pub(super) fn remove(&mut self, queue: &str) {
        self.0.remove(queue);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn contains(&self, queue: &str) -> bool {
        self.0.contains_key(queue)
    }

    /// Why jobs for `queue` stay in their buckets; `None`: they are to be tried.
    pub(super) fn holds(&self, queue: &str) -> Option<&str> {
        let refusal = self.0.get(queue).filter(|it| it.holds)?;
        Some(&refusal.reason)
    }

    /// Lets jobs for queues of the wrong type be tried again: the quarantine may take them now.
    pub(super) fn try_again(&mut self) {
        let refusals = self.0.values_mut();
        refusals.for_each(|it| it.holds = it.denied);
    }

    /// All of them, in order.
    pub(super) fn queues(&self) -> Vec<&str> {
        self.0.keys().map(|queue| &**queue).collect()
    }

    /// Forgets those that take jobs now, given for all of them in order. Returns whether there are any.
    pub(super) fn forget(&mut self, take_jobs: &[bool]) -> bool {
        let before = self.0.len();
        let mut take_jobs = take_jobs.iter();
        self.0.retain(|_, _| take_jobs.next() != Some(&true));
        self.0.len() < before
    }

    /// What is wrong with them, in words.
    pub(super) fn trouble(&self) -> Option<String> {
        let (queue, Refusal { reason, .. }) = self.0.first_key_value()?;
        let number = self.0.len();
        Some(format!(
            "queues that reject delayed jobs: {number}, the first is {queue} ({reason})"
        ))
    }
}

//! Queues that reject delayed jobs, because their key has the wrong type or the Redis user may not write it.
//!
//! If jobs for a queue stay in their buckets, its later jobs stay too, until the queue takes jobs. Otherwise the
//! later jobs would overtake the earlier ones when the queue is repaired.

use std::collections::BTreeMap;

/// Maximum number of queues that are remembered.
const MOST: usize = 1_000;

/// Why a queue rejects jobs.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reason: String,
    /// Whether the Redis user may not write the queue.
    pub(super) denied: bool,
    /// Whether the jobs of the queue stay in their buckets without being tried.
    pub(super) holds: bool,
}

/// Queues that rejected jobs, by name.
#[derive(Debug, Default)]
pub(super) struct Refusing(BTreeMap<String, Refusal>);

impl Refusing {
    /// Records a queue that rejected a job.
    pub(super) fn insert(&mut self, queue: String, refusal: Refusal) {
        if self.0.len() < MOST {
            self.0.insert(queue, refusal);
        }
    }

    /// Records that a queue took a job.
    pub(super) fn remove(&mut self, queue: &str) {
        self.0.remove(queue);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn contains(&self, queue: &str) -> bool {
        self.0.contains_key(queue)
    }

    /// Returns why jobs for `queue` stay in their buckets, or `None` if they are to be tried.
    pub(super) fn holds(&self, queue: &str) -> Option<&str> {
        let refusal = self.0.get(queue).filter(|it| it.holds)?;
        Some(&refusal.reason)
    }

    /// Allows jobs for queues of the wrong type to be tried again, because the quarantine may take them now.
    pub(super) fn try_again(&mut self) {
        let refusals = self.0.values_mut();
        refusals.for_each(|it| it.holds = it.denied);
    }

    /// Returns the names of all queues, sorted.
    pub(super) fn queues(&self) -> Vec<&str> {
        self.0.keys().map(|queue| &**queue).collect()
    }

    /// Removes the queues that take jobs now. `take_jobs` has one value for each of [`Self::queues`]. Returns
    /// whether any was removed.
    pub(super) fn forget(&mut self, take_jobs: &[bool]) -> bool {
        let before = self.0.len();
        let mut take_jobs = take_jobs.iter();
        self.0.retain(|_, _| take_jobs.next() != Some(&true));
        self.0.len() < before
    }

    /// Returns the problem of the queues as text.
    pub(super) fn trouble(&self) -> Option<String> {
        let (queue, Refusal { reason, .. }) = self.0.first_key_value()?;
        let number = self.0.len();
        Some(format!(
            "queues that reject delayed jobs: {number}, the first is {queue} ({reason})"
        ))
    }
}

//! Delayed jobs: find, count, remove, enqueue now, and move to another time.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    control::{actor::Actor, error::ControlError},
    core::{
        job::{
            delayed::{DelayedItem, class_and_queue},
            filter::{JobFilter, active_job_class},
        },
        time::instant,
    },
    store::{Console, Cursor, DelayedChange, DelayedJob, DelayedOutcome, Span},
};

/// How many jobs are changed in one call. Other clients wait for a call.
const BATCH: u32 = 500;

/// How many classes and queues are counted by name; all others are counted together.
const NAMES: usize = 1_000;

/// How many errors of jobs that were not changed are told.
const ERRORS: usize = 10;

/// Which delayed jobs are meant.
#[derive(Debug, Clone, Default)]
pub struct DelayedFilter {
    /// What the jobs are like.
    pub jobs: JobFilter,
    /// When they are due.
    pub span: Span,
}

impl DelayedFilter {
    /// Whether it matches every job.
    pub fn is_empty(&self) -> bool {
        self.jobs == JobFilter::default() && self.span == Span::default()
    }
}

/// A delayed job, for people and programs.
#[derive(Debug, Clone, Serialize)]
pub struct FoundJob {
    /// When it is due. Whole seconds, UTC.
    pub at: DateTime<Utc>,
    /// The class that it names; of an ActiveJob its own class.
    pub class: Option<String>,
    /// The queue that it names.
    pub queue: Option<String>,
    /// Its arguments, byte for byte, if it is JSON.
    pub args: Option<Box<RawValue>>,
    /// The whole item; bytes that are not UTF-8 are replaced.
    pub item: String,
}

/// How many delayed jobs a filter matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DelayedCount {
    /// The jobs that the filter matches.
    pub matched: usize,
    /// All delayed jobs.
    pub waiting: usize,
}

/// What is to be done with delayed jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DelayedAction {
    /// They are removed.
    Remove,
    /// They are enqueued now.
    RunNow,
    /// They are due at this time instead.
    MoveTo(DateTime<Utc>),
    /// They are due so much later, or earlier.
    MoveBy(TimeDelta),
}

/// What was done with delayed jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DelayedChanged {
    /// The jobs that the filter matched.
    pub matched: usize,
    /// The jobs that were changed.
    pub done: usize,
    /// The jobs that were not in their bucket any more.
    pub gone: usize,
    /// The jobs that could not be changed, and stay.
    pub rejected: usize,
    /// Why, for the first of them.
    pub errors: Vec<String>,
}

/// Delayed jobs by when they are due, by class and by queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DelayedStats {
    /// All jobs.
    pub waiting: usize,
    /// The bytes of their items. Redis takes about twice as much, because the reverse index has each item, too.
    pub bytes: usize,
    /// How many are due within an hour, a day, a week, and later.
    pub due: [DueWithin; 4],
    /// How many there are of each class in each queue, the most first.
    pub classes: Vec<ClassCount>,
}

/// The jobs that are due within a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DueWithin {
    /// The time, in seconds; `None`: later.
    pub within_s: Option<i64>,
    /// The jobs that are due within it, and not within a shorter one of the list.
    pub jobs: usize,
}

/// The jobs of a class in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// The class; `None`: it cannot be read, or it is one of too many.
    pub class: Option<String>,
    /// The queue.
    pub queue: Option<String>,
    /// How many.
    pub jobs: usize,
}

/// Hands every job that `filter` matches to `visit`, the soonest first, until it returns `false`. Holds one page of jobs
/// in memory.
///
/// # Errors
/// [`ControlError::Store`].
pub async fn find(
    console: &Console,
    filter: &DelayedFilter,
    mut visit: impl FnMut(DelayedJob) -> bool,
) -> Result<(), ControlError> {
    let mut cursor = Some(Cursor::default());
    while let Some(from) = cursor {
        let (jobs, next) = console.browse_delayed(&filter.span, &from).await?;
        for job in jobs {
            if filter.jobs.matches(&job.item) && !visit(job) {
                return Ok(());
            }
        }
        cursor = next;
    }
    Ok(())
}

/// Counts the jobs that `filter` matches.
///
/// # Errors
/// [`ControlError::Store`].
pub async fn count(
    console: &Console,
    filter: &DelayedFilter,
    now: DateTime<Utc>,
) -> Result<DelayedCount, ControlError> {
    let waiting = console.delayed_counts(now).await?.waiting;
    let mut matched = 0;
    if filter.is_empty() {
        matched = waiting;
    } else {
        let mut count = |_| {
            matched += 1;
            true
        };
        find(console, filter, &mut count).await?;
    }
    Ok(DelayedCount { matched, waiting })
}

/// Counts all delayed jobs by when they are due, by class and by queue.
///
/// # Errors
/// [`ControlError::Store`].
pub async fn stats(console: &Console, now: DateTime<Utc>) -> Result<DelayedStats, ControlError> {
    const HOUR: i64 = 3_600;
    let mut due = [HOUR, 24 * HOUR, 168 * HOUR, 0].map(|seconds| DueWithin {
        within_s: (seconds > 0).then_some(seconds),
        jobs: 0,
    });
    let (mut stats, mut classes) = (DelayedStats::default(), BTreeMap::new());
    find(console, &DelayedFilter::default(), |job| {
        stats.waiting += 1;
        stats.bytes += job.item.len();
        let left = (job.at() - now).num_seconds();
        let within = due.iter_mut();
        let mut within = within.filter(|it| it.within_s.is_none_or(|most| left < most));
        if let Some(within) = within.next() {
            within.jobs += 1;
        }
        let mut name = names(&job.item);
        if classes.len() >= NAMES && !classes.contains_key(&name) {
            name = (None, None);
        }
        *classes.entry(name).or_insert(0) += 1;
        true
    })
    .await?;
    let count = |((class, queue), jobs)| ClassCount { class, queue, jobs };
    stats.due = due;
    stats.classes = classes.into_iter().map(count).collect();
    stats.classes.sort_by_key(|it| std::cmp::Reverse(it.jobs));
    Ok(stats)
}

/// Does `action` with `jobs`, which [`find`] found, each in one atomic step: a job that a scheduler moves meanwhile is
/// either moved or changed. At most `rate` jobs a second. Stops between two calls when `stop` is cancelled.
///
/// # Errors
/// [`ControlError::Store`]; `changed` has what was done until then.
pub async fn change(
    console: &Console,
    jobs: Vec<DelayedJob>,
    action: DelayedAction,
    how: &ChangeOptions,
    changed: &mut DelayedChanged,
) -> Result<(), ControlError> {
    changed.matched = jobs.len();
    let most = how.rate.map_or(BATCH, |rate| rate.clamp(1, BATCH));
    // The jobs of a bucket that were removed from it: those behind them are nearer to its head now.
    let mut removed: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut jobs = jobs.into_iter().peekable();
    while jobs.peek().is_some() && !how.stop.is_cancelled() {
        let (mut batch, mut target) = (vec![], None);
        while batch.len() < most as usize
            && let Some(job) = jobs.next_if(|job| {
                let wanted = target_of(job, action);
                batch.is_empty() || wanted == target
            })
        {
            target = target_of(&job, action);
            match change_of(&job, action) {
                Ok(change) => batch.push((job, change)),
                Err(error) => changed.reject(error),
            }
        }
        for (job, _) in &mut batch {
            let gone = removed.get(&job.member).copied().unwrap_or_default();
            job.index = job.index.saturating_sub(gone);
        }
        if batch.is_empty() {
            continue;
        }
        let outcomes = console.change_delayed(&batch, target).await?;
        for ((job, _), outcome) in batch.into_iter().zip(outcomes) {
            match outcome {
                DelayedOutcome::Done => {
                    changed.done += 1;
                    *removed.entry(job.member).or_insert(0) += 1;
                }
                DelayedOutcome::Gone => changed.gone += 1,
                DelayedOutcome::Rejected(error) => changed.reject(error),
            }
        }
        if let Some(rate) = how.rate
            && jobs.peek().is_some()
        {
            sleep(Duration::from_secs(1) * most / rate.max(1)).await;
        }
    }
    Ok(())
}

/// How delayed jobs are changed.
#[derive(Debug, Clone)]
pub struct ChangeOptions {
    /// At most so many a second.
    pub rate: Option<u32>,
    /// Stops it between two calls.
    pub stop: CancellationToken,
}

/// Records in the events what was done with delayed jobs.
///
/// # Errors
/// [`ControlError::Store`].
pub async fn note(
    console: &Console,
    action: DelayedAction,
    changed: &DelayedChanged,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<(), ControlError> {
    let verb = match action {
        DelayedAction::Remove => "removed_delayed",
        DelayedAction::RunNow => "ran_delayed_now",
        DelayedAction::MoveTo(_) | DelayedAction::MoveBy(_) => "rescheduled_delayed",
    };
    let count = Some(changed.done);
    Ok(actor.note(console, verb, "delayed", count, now).await?)
}

impl DelayedChanged {
    fn reject(&mut self, error: String) {
        self.rejected += 1;
        if self.errors.len() < ERRORS && !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }
}

/// When the job is to be due.
fn target_of(job: &DelayedJob, action: DelayedAction) -> Option<DateTime<Utc>> {
    match action {
        DelayedAction::MoveTo(at) => Some(at),
        DelayedAction::MoveBy(length) if length < TimeDelta::zero() => {
            Some(instant::before(job.at(), -length))
        }
        DelayedAction::MoveBy(length) => Some(instant::after(job.at(), length)),
        DelayedAction::Remove | DelayedAction::RunNow => None,
    }
}

fn change_of(job: &DelayedJob, action: DelayedAction) -> Result<DelayedChange, String> {
    match action {
        DelayedAction::Remove => Ok(DelayedChange::Remove),
        DelayedAction::MoveTo(_) | DelayedAction::MoveBy(_) => Ok(DelayedChange::Move),
        DelayedAction::RunNow => match DelayedItem::decode(&job.item) {
            Ok(DelayedItem { queue, payload }) => Ok(DelayedChange::Enqueue { queue, payload }),
            Err(error) => Err(error.to_string()),
        },
    }
}

fn names(item: &[u8]) -> (Option<String>, Option<String>) {
    let (class, queue) = class_and_queue(item);
    (active_job_class(item).or(class), queue)
}

impl From<&DelayedJob> for FoundJob {
    fn from(job: &DelayedJob) -> Self {
        #[derive(serde::Deserialize)]
        struct Args<'a> {
            #[serde(borrow)]
            args: &'a RawValue,
        }
        let (class, queue) = names(&job.item);
        let args = serde_json::from_slice::<Args<'_>>(&job.item);
        Self {
            at: job.at(),
            class,
            queue,
            args: args.ok().map(|it| it.args.to_owned()),
            item: String::from_utf8_lossy(&job.item).into_owned(),
        }
    }
}

//! Delayed jobs: find, count, remove, enqueue now, and move to another time.

mod change;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    control::error::ControlError,
    core::job::{
        delayed::class_and_queue,
        filter::{JobFilter, active_job_class},
    },
    store::{Console, Cursor, DelayedJob, Span},
};

pub use self::change::{ChangeOptions, DelayedAction, DelayedChanged, change, note};

/// How many classes and queues are counted by name; all others are counted together.
const NAMES: usize = 1_000;

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
    /// When it is due. Whole seconds, UTC; `None`: its score is no time.
    pub at: Option<DateTime<Utc>>,
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
        // A job without a time is never due.
        let left = job.at().map_or(i64::MAX, |at| (at - now).num_seconds());
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

fn names(item: &[u8]) -> (Option<String>, Option<String>) {
    let (class, queue) = class_and_queue(item);
    (active_job_class(item).or(class), queue)
}

/// The same JSON without line breaks between its values, so that it fits into a line. Bytes within texts stay, for a line
/// break there is escaped.
fn in_one_line(json: &RawValue) -> Box<RawValue> {
    let text = json.get().replace(['\n', '\r'], " ");
    RawValue::from_string(text).unwrap_or_else(|_| json.to_owned())
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
            args: args.ok().map(|it| in_one_line(it.args)),
            item: String::from_utf8_lossy(&job.item).into_owned(),
        }
    }
}

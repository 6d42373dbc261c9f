//! Removing delayed jobs, enqueuing them now, and moving them to another time.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    control::{actor::Actor, error::ControlError},
    core::{job::delayed::DelayedItem, time::instant},
    store::{Console, DelayedChange, DelayedJob, DelayedOutcome},
};

/// How many jobs are changed in one call. Other clients wait for a call.
const BATCH: u32 = 500;

/// About how many bytes of items go in one call.
const BYTES: usize = 1 << 20;

/// How many errors of jobs that were not changed are kept.
const ERRORS: usize = 10;

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
    /// Whether it was stopped before all jobs were tried.
    pub stopped: bool,
    /// Why this is not in the events, if it could not be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<String>,
}

/// Does `action` with `jobs`, which [`super::find`] found, each in one atomic step: a job that a scheduler moves meanwhile is
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
    // How many jobs left each bucket: those behind them are nearer to its head now.
    let mut left: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut jobs: VecDeque<DelayedJob> = jobs.into();
    while !jobs.is_empty() {
        if how.stop.is_cancelled() {
            changed.stopped = true;
            break;
        }
        let (mut batch, target) = next_batch(&mut jobs, action, most as usize, changed);
        if batch.is_empty() {
            continue;
        }
        let known: Vec<usize> = batch.iter().map(|(job, _)| job.index).collect();
        for (job, _) in &mut batch {
            let gone = left.get(&job.member).copied().unwrap_or_default();
            job.index = job.index.saturating_sub(gone);
        }
        let outcomes = console.change_delayed(&batch, target).await?;
        let tried = u32::try_from(batch.len()).unwrap_or(most);
        for (((mut job, _), index), outcome) in batch.into_iter().zip(known).zip(outcomes).rev() {
            match outcome {
                DelayedOutcome::Done => {
                    changed.done += 1;
                    if !is_at(&job, target) {
                        *left.entry(job.member).or_insert(0) += 1;
                    }
                }
                DelayedOutcome::Gone => changed.gone += 1,
                DelayedOutcome::NotTried => {
                    job.index = index;
                    jobs.push_front(job);
                }
                DelayedOutcome::Rejected(error) => changed.reject(error),
            }
        }
        if let Some(rate) = how.rate
            && !jobs.is_empty()
        {
            let pause = Duration::from_secs(1) * tried / rate.max(1);
            tokio::select! {
                () = sleep(pause) => {}
                () = how.stop.cancelled() => {}
            }
        }
    }
    Ok(())
}

/// Takes the next jobs that have the same target out of `jobs`, at most `most` of them and about [`BYTES`] of items.
fn next_batch(
    jobs: &mut VecDeque<DelayedJob>,
    action: DelayedAction,
    most: usize,
    changed: &mut DelayedChanged,
) -> (Vec<(DelayedJob, DelayedChange)>, Option<DateTime<Utc>>) {
    let (mut batch, mut target, mut bytes) = (vec![], None, 0);
    while batch.len() < most
        && bytes < BYTES
        && let Some(job) = jobs.front()
        && (batch.is_empty() || target_of(job, action) == target)
        && let Some(job) = jobs.pop_front()
    {
        match change_of(&job, action) {
            Ok(change) => {
                target = target_of(&job, action);
                bytes += job.item.len();
                batch.push((job, change));
            }
            Err(error) => changed.reject(error),
        }
    }
    (batch, target)
}

/// Whether the job is in the bucket of `target` already.
fn is_at(job: &DelayedJob, target: Option<DateTime<Utc>>) -> bool {
    target.is_some_and(|at| at.timestamp().to_string().as_bytes() == job.member)
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
pub async fn note(
    console: &Console,
    action: DelayedAction,
    changed: &mut DelayedChanged,
    actor: &Actor,
    now: DateTime<Utc>,
) {
    let verb = match action {
        DelayedAction::Remove => "removed_delayed",
        DelayedAction::RunNow => "ran_delayed_now",
        DelayedAction::MoveTo(_) | DelayedAction::MoveBy(_) => "rescheduled_delayed",
    };
    let count = Some(changed.done);
    changed.unrecorded = actor.note(console, verb, "delayed", count, now).await;
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
            Some(instant::before(job.at()?, -length))
        }
        DelayedAction::MoveBy(length) => Some(instant::after(job.at()?, length)),
        DelayedAction::Remove | DelayedAction::RunNow => None,
    }
}

fn change_of(job: &DelayedJob, action: DelayedAction) -> Result<DelayedChange, String> {
    match action {
        DelayedAction::Remove => Ok(DelayedChange::Remove),
        DelayedAction::MoveBy(_) if job.at().is_none() => {
            Err("it has no time: its score is not one from 1970 to 2199".to_owned())
        }
        DelayedAction::MoveTo(_) | DelayedAction::MoveBy(_) => Ok(DelayedChange::Move),
        DelayedAction::RunNow => match DelayedItem::decode(&job.item) {
            Ok(DelayedItem { queue, payload }) => Ok(DelayedChange::Enqueue { queue, payload }),
            Err(error) => Err(error.to_string()),
        },
    }
}

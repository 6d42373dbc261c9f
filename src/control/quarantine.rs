//! Delayed jobs that could not be enqueued: list them, put them back, discard them.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    control::{actor::Actor, error::ControlError},
    core::job::delayed::class_and_queue,
    store::{Console, DelayedOutcome, Restored},
};

/// How many records are changed in one call. Other clients wait for a call.
const BATCH: usize = 50;

/// How many errors of records that were not changed are kept.
const ERRORS: usize = 10;

/// A job in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuarantinedJob {
    /// Its number in the list, from 1, the oldest first. It changes when others leave.
    pub number: usize,
    /// When it was quarantined. Whole seconds, UTC.
    pub at: Option<DateTime<Utc>>,
    /// Why.
    pub reason: String,
    /// The bucket that it was in, without namespace.
    pub bucket: String,
    /// The class that it names, if that can be read.
    pub class: Option<String>,
    /// The queue that it names, if that can be read.
    pub queue: Option<String>,
    /// The item; bytes that are not UTF-8 are replaced. `None`: it is too large and has a list of its own.
    pub item: Option<String>,
    /// The record, byte for byte.
    #[serde(skip)]
    record: Vec<u8>,
    /// The item, byte for byte.
    #[serde(skip)]
    bytes: Option<Vec<u8>>,
}

/// What a record says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    quarantined_at: Option<DateTime<Utc>>,
    reason: String,
    bucket: String,
    item: Option<String>,
    item_base64: Option<String>,
}

/// What is done with jobs in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuarantineAction {
    /// They go back to their buckets. A scheduler tries them again.
    Retry,
    /// They are removed for good.
    Discard,
}

/// What was done with jobs in quarantine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct QuarantineChanged {
    /// The jobs that were meant.
    pub matched: usize,
    /// The jobs that left the quarantine.
    pub done: usize,
    /// The jobs that were not there any more.
    pub gone: usize,
    /// The jobs that stay.
    pub rejected: usize,
    /// Why, for the first of them.
    pub errors: Vec<String>,
    /// Why this is not in the events, if it could not be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<String>,
}

/// Lists the jobs in quarantine with these numbers, or all of them if there are none.
///
/// # Errors
/// [`ControlError::Store`].
pub async fn list(
    console: &Console,
    numbers: &[usize],
) -> Result<Vec<QuarantinedJob>, ControlError> {
    let (mut jobs, mut number) = (vec![], 0);
    console
        .quarantine(|record| {
            number += 1;
            if numbers.is_empty() || numbers.contains(&number) {
                jobs.push(QuarantinedJob::of(number, record));
            }
            true
        })
        .await?;
    Ok(jobs)
}

/// Does `action` with `jobs`, which [`list`] found, each in one atomic step.
///
/// # Errors
/// [`ControlError::Store`].
pub async fn change(
    console: &Console,
    jobs: Vec<QuarantinedJob>,
    action: QuarantineAction,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<QuarantineChanged, ControlError> {
    let mut changed = QuarantineChanged {
        matched: jobs.len(),
        ..QuarantineChanged::default()
    };
    let mut records = vec![];
    for job in jobs {
        match job.restored(action) {
            Ok(record) => records.push(record),
            Err(error) => changed.reject(error),
        }
    }
    for batch in records.chunks(BATCH) {
        for outcome in console.restore(batch).await? {
            match outcome {
                DelayedOutcome::Done => changed.done += 1,
                DelayedOutcome::Gone => changed.gone += 1,
                DelayedOutcome::Rejected(error) => changed.reject(error),
                DelayedOutcome::NotTried => changed.reject("it was not tried".to_owned()),
            }
        }
    }
    if changed.done > 0 {
        let verb = match action {
            QuarantineAction::Retry => "retried_quarantined",
            QuarantineAction::Discard => "discarded_quarantined",
        };
        let count = Some(changed.done);
        changed.unrecorded = actor.note(console, verb, "quarantine", count, now).await;
    }
    Ok(changed)
}

impl QuarantineChanged {
    fn reject(&mut self, error: String) {
        self.rejected += 1;
        if self.errors.len() < ERRORS && !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }
}

impl QuarantinedJob {
    fn of(number: usize, record: Vec<u8>) -> Self {
        let read: Record = serde_json::from_slice(&record).unwrap_or_default();
        let text = read.item.map(String::into_bytes);
        let bytes = text.or_else(|| BASE64_STANDARD.decode(read.item_base64?).ok());
        let (class, queue) = bytes.as_deref().map(class_and_queue).unwrap_or_default();
        Self {
            number,
            at: read.quarantined_at,
            reason: read.reason,
            bucket: read.bucket,
            class,
            queue,
            item: bytes
                .as_deref()
                .map(|it| String::from_utf8_lossy(it).into_owned()),
            record,
            bytes,
        }
    }

    /// What becomes of the record, or why it must stay.
    fn restored(self, action: QuarantineAction) -> Result<Restored, String> {
        let to = match action {
            QuarantineAction::Discard if self.bytes.is_none() => {
                return Err(self.too_large());
            }
            QuarantineAction::Discard => None,
            QuarantineAction::Retry => {
                let member = self.bucket.strip_prefix("delayed:");
                let Some(member) = member.and_then(|it| it.parse().ok()) else {
                    return Err(format!(
                        "job {}: `{}` is not a time",
                        self.number, self.bucket
                    ));
                };
                let Some(bytes) = self.bytes else {
                    return Err(self.too_large());
                };
                Some((member, bytes))
            }
        };
        let record = self.record;
        Ok(Restored { record, to })
    }

    fn too_large(&self) -> String {
        format!(
            "job {} is too large to be read and has a list of its own; docs/protocol.md, \"Quarantine\", says how to move it",
            self.number
        )
    }
}

//! Histories and pauses of the model, which follow `history.lua` line by line, and the laws for histories.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use rescue_scheduler::{
    core::{firing::outcome::Outcome, schedule::entry::Entry},
    store::{FireOutcome, Identity, Missed, MissedOutcome},
};

use super::model::{Model, Shot};

/// Outcome of a fire, or of several fires in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub outcome: Outcome,
    pub first: i64,
    pub last: i64,
    pub count: Option<u32>,
    /// In milliseconds.
    pub at: i64,
    /// In milliseconds, if the job was enqueued.
    pub lateness: Option<i64>,
}

impl Model {
    /// Whether an entry is paused at a fire time.
    pub fn is_paused(&self, name: &str, fire_time: i64) -> bool {
        let ends = [name, "*"].map(|it| self.paused.get(it));
        ends.into_iter().flatten().any(|end| fire_time < *end)
    }

    /// Returns the history of an entry, newest first.
    pub fn history(&self, name: &str) -> &[Record] {
        self.histories.get(name).map_or(&[], Vec::as_slice)
    }

    /// Records the outcome of a fire.
    pub fn note_fire(&mut self, shot: &Shot, outcome: &FireOutcome, at: i64) {
        let (outcome, lateness) = match outcome {
            FireOutcome::Fired => (shot.outcome, Some(shot.lateness)),
            FireOutcome::Skipped(reason) => (Outcome::from(*reason), None),
            FireOutcome::Paused => (Outcome::Paused, None),
            FireOutcome::Rejected(_) => (Outcome::Rejected, None),
            FireOutcome::AlreadyFired
            | FireOutcome::HadAll
            | FireOutcome::TooEarly
            | FireOutcome::PutOff => return,
        };
        let record = Record {
            outcome,
            first: shot.fire_time,
            last: shot.fire_time,
            count: Some(1),
            at,
            lateness,
        };
        self.note(&shot.name, record);
    }

    /// `note` of `history.lua`.
    fn note(&mut self, name: &str, record: Record) {
        let most = self.limits.history;
        let history = self.histories.entry(name.to_owned()).or_default();
        match history.first_mut() {
            // The same outcome was recorded before a restart.
            Some(head) if record.lateness.is_none() && record.last < head.first => return,
            Some(head) if record.lateness.is_none() && head.outcome == record.outcome => {
                if record.last <= head.last {
                    return;
                }
                head.count = if record.first > head.last {
                    head.count.zip(record.count).map(|(one, other)| one + other)
                } else {
                    record.count.filter(|_| head.first == record.first)
                };
                (head.last, head.at) = (record.last, record.at);
            }
            _ if most > 0 => history.insert(0, record),
            _ => {}
        }
        history.truncate(most);
    }

    /// `missed.lua`.
    pub fn note_missed(
        &mut self,
        us: &Identity,
        missed: &[MissedOfModel],
        at: i64,
    ) -> Option<Vec<MissedOutcome>> {
        if self.holder() != Some(&us.holder) {
            return None;
        }
        let noted = missed.iter().map(|missed| {
            if self
                .fired
                .get(&missed.name)
                .is_some_and(|it| *it >= missed.last)
            {
                return MissedOutcome::Fired;
            }
            let (outcome, noted) = if self.is_paused(&missed.name, missed.last) {
                self.fired.insert(missed.name.clone(), missed.last);
                (Outcome::Paused, MissedOutcome::Paused)
            } else {
                (Outcome::Missed, MissedOutcome::Missed)
            };
            let record = Record {
                outcome,
                first: missed.first,
                last: missed.last,
                count: missed.count,
                at,
                lateness: None,
            };
            self.note(&missed.name, record);
            noted
        });
        Some(noted.collect())
    }
}

/// Missed fire times, as `missed.lua` gets them.
pub struct MissedOfModel {
    name: String,
    first: i64,
    last: i64,
    count: Option<u32>,
}

impl From<&Missed<'_>> for MissedOfModel {
    fn from(missed: &Missed<'_>) -> Self {
        Self {
            name: missed.name.to_owned(),
            first: missed.first.timestamp(),
            last: missed.last.timestamp(),
            count: missed.count,
        }
    }
}

/// Checks that the history of an entry lists exactly the jobs that were enqueued.
pub fn judge_history(name: &str, history: &[Record], pushed: &[i64]) -> Result<(), String> {
    let enqueued = |it: &&Record| [Outcome::Enqueued, Outcome::CaughtUp].contains(&it.outcome);
    let enqueued = history.iter().rev().filter(enqueued);
    let enqueued: Vec<i64> = enqueued.map(|it| it.first).collect();
    if enqueued == pushed {
        return Ok(());
    }
    Err(format!(
        "{name}: {pushed:?} were enqueued, not {enqueued:?} as its history says"
    ))
}

/// Checks that the history of an entry, first seen at `since`, has the outcome of every fire time that was due
/// before `until`.
pub fn judge_account(
    entry: &Arc<Entry>,
    since: DateTime<Utc>,
    history: &[Record],
    until: DateTime<Utc>,
) -> Result<(), String> {
    let next_after = |last| entry.timing.recurrence.next_after(last, last).unwrap();
    let mut next = next_after(since);
    while entry.due_at(next) < until {
        let seconds = next.timestamp();
        let says = |it: &Record| it.first <= seconds && seconds <= it.last;
        if !history.iter().any(says) {
            let name = &entry.name;
            return Err(format!("{name}: nothing of {next} in {history:#?}"));
        }
        next = next_after(next);
    }
    Ok(())
}

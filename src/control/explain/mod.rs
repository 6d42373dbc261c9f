//! Why an entry fired, or did not fire, at a time.

mod leaders;
mod reasons;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use serde::Serialize;

use crate::{
    control::{entries::find, error::ControlError},
    core::{
        firing::{named::NamedFires, outcome::Outcome},
        schedule::entry::Entry,
        time::zone::Zone,
    },
    store::{Console, EventRecord, FireRecord, Pauses, Records},
};

/// How many records and events are read: more than Redis keeps by default.
const MOST: usize = 10_000;

/// Why an entry fired, or did not fire, at a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The entry's name.
    pub entry: String,
    /// The time that was asked about. Whole seconds, UTC.
    pub at: DateTime<Utc>,
    /// What became of the fire, or why there was none.
    pub outcome: Verdict,
    /// The facts, in the order of the decision.
    pub reasons: Vec<Reason>,
    /// What to do now: commands, or changes of the schedule.
    pub advice: Vec<String>,
    /// The fire time before the one that was asked about. UTC.
    pub before: Option<DateTime<Utc>>,
    /// The fire time after it. UTC.
    pub after: Option<DateTime<Utc>>,
    /// The zone in which people read the entry's times.
    #[serde(skip)]
    pub zone: Zone,
}

/// What became of the fire, or why there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", untagged)]
pub enum Verdict {
    /// An outcome of the entry's history.
    Outcome(#[serde(serialize_with = "word")] Outcome),
    /// There was no fire.
    None(NoFire),
}

/// Why there was no fire, or why it is not known what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoFire {
    /// The timing does not name this time.
    NotInTiming,
    /// The time is still to come.
    StillToCome,
    /// The entry was first seen after that time.
    NotSeenYet,
    /// The history does not reach back so far, or has no record of the fire.
    Unknown,
}

/// A fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What it is about: `timing`, `entry`, `pause`, `leader`, `decision`.
    pub code: &'static str,
    /// The fact, for people.
    pub text: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn word<S: serde::Serializer>(outcome: &Outcome, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(outcome.as_str())
}

impl Verdict {
    /// Whether the job was enqueued.
    pub fn is_enqueued(self) -> bool {
        let enqueued = [
            Outcome::Enqueued,
            Outcome::CaughtUp,
            Outcome::Triggered,
            Outcome::Backfilled,
        ];
        matches!(self, Self::Outcome(outcome) if enqueued.contains(&outcome))
    }
}

/// What is known of an entry.
#[derive(Debug, Clone)]
struct Facts {
    entry: Entry,
    first_seen: Option<DateTime<Utc>>,
    last_fire: Option<DateTime<Utc>>,
    /// Newest first.
    history: Vec<FireRecord>,
    /// Newest first.
    events: Vec<EventRecord>,
    pauses: Pauses,
}

/// Explains what became of the fire of the entry `name` at `at`; `None`: of its last fire time.
///
/// # Errors
/// [`ControlError::NoEntry`], and those of Redis.
pub async fn explain(
    console: &Console,
    name: &str,
    at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Explanation, ControlError> {
    let entry = find(console, name).await?;
    let records: Records = console.records(Some(&[name.to_owned()])).await?;
    let facts = Facts {
        first_seen: records.first_seen(&entry),
        last_fire: records
            .last_fire(name)
            .max(records.enqueued_elsewhere.get(name).copied()),
        history: console.history(name, MOST).await?,
        events: console.events(MOST).await?,
        pauses: console.pauses().await?,
        entry,
    };
    Ok(facts.explain(at, now))
}

impl Facts {
    fn fires(&self, now: DateTime<Utc>) -> NamedFires<'_> {
        let first_seen = self.first_seen.unwrap_or(now);
        NamedFires::of(&self.entry.timing, first_seen, self.last_fire)
    }

    fn explain(&self, at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Explanation {
        let fires = self.fires(now);
        let at = at
            .or_else(|| fires.last_until(now))
            .unwrap_or(now)
            .trunc_subsecs(0);
        let second = TimeDelta::seconds(1);
        let mut explanation = Explanation {
            entry: self.entry.name.clone(),
            at,
            outcome: Verdict::None(NoFire::Unknown),
            reasons: vec![],
            advice: vec![],
            before: fires.last_until(at - second),
            after: fires.next_after(at),
            zone: self.entry.zone,
        };
        let is_named = fires.has(at);
        let record = self.record_of(at, is_named);
        // A trigger is at any time, and its record says so.
        let is_named = is_named || record.is_some();
        explanation.reason("timing", self.timing_text(is_named, &explanation));
        if !is_named {
            explanation.outcome = Verdict::None(NoFire::NotInTiming);
            self.explain_timing(&mut explanation, now);
            return explanation;
        }
        let origin = format!("in force ({})", self.entry.origin);
        explanation.reason("entry", origin);
        match record {
            Some(record) => self.explain_record(&mut explanation, record),
            None => self.explain_gap(&mut explanation, now),
        }
        explanation
    }

    /// The record that says what became of the fire at `at`. A record of several fires has all fire times from its first
    /// to its last.
    fn record_of(&self, at: DateTime<Utc>, is_named: bool) -> Option<&FireRecord> {
        let has = |it: &&FireRecord| {
            it.first == at || it.last == at || (is_named && it.first < at && at < it.last)
        };
        // A trigger may be in the same second as a fire, but says nothing about it.
        let fire = |it: &&FireRecord| has(it) && it.outcome != Outcome::Triggered;
        let found = self.history.iter().find(fire);
        found.or_else(|| self.history.iter().find(has))
    }
}

impl Explanation {
    fn reason(&mut self, code: &'static str, text: String) {
        self.reasons.push(Reason { code, text });
    }
}

impl From<&FireRecord> for Verdict {
    fn from(record: &FireRecord) -> Self {
        Self::Outcome(record.outcome)
    }
}

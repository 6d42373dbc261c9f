//! What became of the fires of entries.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::{
    control::{
        entries::find,
        error::{ControlError, readable},
    },
    core::firing::outcome::Outcome,
    store::{Console, FireRecord},
};

/// How many records of an entry are read: more than any scheduler keeps by default.
const MOST: usize = 10_000;

/// Which records are listed.
#[derive(Debug, Clone, Default)]
pub struct HistoryFilter {
    /// Only those of this entry.
    pub entry: Option<String>,
    /// Only those with this outcome.
    pub outcome: Option<Outcome>,
    /// Only those with a fire time at this time or later.
    pub since: Option<DateTime<Utc>>,
}

/// What became of a fire, or of several fires in a row with the same outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryRecord {
    /// The entry's name.
    pub entry: String,
    /// The last fire time. Whole seconds, UTC.
    pub fire_time: DateTime<Utc>,
    /// What became of it.
    pub outcome: &'static str,
    /// When it was recorded, by the leader's clock. Milliseconds, UTC.
    pub at: DateTime<Utc>,
    /// How long after it was due its job was enqueued, in seconds, if it was.
    pub lateness_s: Option<f64>,
    /// Redis' words, if its queue rejected it.
    pub reason: Option<String>,
    /// The first fire time.
    pub first: DateTime<Utc>,
    /// The last fire time.
    pub last: DateTime<Utc>,
    /// How many fire times these are; `None`: too many to count.
    pub count: Option<u32>,
}

/// Returns the records that `filter` matches, oldest first.
///
/// # Errors
/// [`ControlError`].
pub async fn history(
    console: &Console,
    filter: &HistoryFilter,
) -> Result<Vec<HistoryRecord>, ControlError> {
    let names = match &filter.entry {
        // An entry that has left the schedule still has a history for a day.
        Some(name) => {
            if console.history(name, 1).await?.is_empty() {
                find(console, name).await?;
            }
            vec![name.clone()]
        }
        None => console.entries().await?.entries.into_keys().collect(),
    };
    let is_wanted = |record: &FireRecord| {
        filter.outcome.is_none_or(|it| it == record.outcome)
            && filter.since.is_none_or(|it| record.last >= it)
    };
    let mut records = vec![];
    for name in names {
        // A history of the wrong type has no records.
        let found = readable(console.history(&name, MOST).await, &mut vec![])?.into_iter();
        records.extend(
            found
                .filter(is_wanted)
                .map(|it| HistoryRecord::of(&name, it)),
        );
    }
    records.sort_by(|a, b| (a.at, &a.entry).cmp(&(b.at, &b.entry)));
    Ok(records)
}

impl HistoryRecord {
    fn of(entry: &str, record: FireRecord) -> Self {
        Self {
            entry: entry.to_owned(),
            fire_time: record.last,
            outcome: record.outcome.as_str(),
            at: record.at,
            lateness_s: record.lateness.map(TimeDelta::as_seconds_f64),
            reason: record.reason,
            first: record.first,
            last: record.last,
            count: record.count,
        }
    }
}

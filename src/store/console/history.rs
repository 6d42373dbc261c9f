//! Outcomes of the fires of an entry, as Redis stores them.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    core::firing::outcome::Outcome,
    store::{console::Console, error::StoreError},
};

/// Outcome of one fire, or of several consecutive ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FireRecord {
    /// The outcome.
    pub outcome: Outcome,
    /// The first fire time.
    pub first: DateTime<Utc>,
    /// The last fire time.
    pub last: DateTime<Utc>,
    /// Number of fire times; `None`: too many to count.
    pub count: Option<u32>,
    /// When it was recorded, by the leader's clock. Milliseconds.
    pub at: DateTime<Utc>,
    /// Time from when the fire was due to when its job was enqueued, if it was. Milliseconds.
    pub lateness: Option<TimeDelta>,
    /// Redis' error, if the fire was rejected.
    pub reason: Option<String>,
}

/// The error for a text that is not a history record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a history record (docs/protocol.md, History)")]
pub struct NoFireRecord(String);

impl FromStr for FireRecord {
    type Err = NoFireRecord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let record = || {
            let mut parts = text.splitn(7, ' ');
            let mut next = || parts.next();
            let instant = |seconds: &str| DateTime::from_timestamp(seconds.parse().ok()?, 0);
            Some(Self {
                outcome: next()?.parse().ok()?,
                first: instant(next()?)?,
                last: instant(next()?)?,
                count: optional(next()?).ok()?,
                at: DateTime::from_timestamp_millis(next()?.parse().ok()?)?,
                lateness: match optional(next()?).ok()? {
                    Some(lateness) => Some(TimeDelta::try_milliseconds(lateness)?),
                    None => None,
                },
                reason: next().map(str::to_owned),
            })
        };
        record().ok_or_else(|| NoFireRecord(text.to_owned()))
    }
}

/// Reads a number, or `-` for none.
fn optional<T: FromStr>(text: &str) -> Result<Option<T>, T::Err> {
    match text {
        "-" => Ok(None),
        number => number.parse().map(Some),
    }
}

impl Console {
    /// Returns the newest records of an entry's history, newest first, `limit` at most. Leaves out texts that are
    /// not records.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn history(&self, entry: &str, limit: usize) -> Result<Vec<FireRecord>, StoreError> {
        let texts = self.newest(&self.keys.history(entry), limit).await?;
        let texts = texts.iter().map(|text| String::from_utf8_lossy(text));
        Ok(texts.filter_map(|text| text.parse().ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let enqueued = FireRecord {
            outcome: Outcome::Enqueued,
            first: at(60),
            last: at(60),
            count: Some(1),
            at: DateTime::from_timestamp_millis(60_004).unwrap(),
            lateness: Some(TimeDelta::milliseconds(4)),
            reason: None,
        };
        assert_eq!("enqueued 60 60 1 60004 4".parse(), Ok(enqueued.clone()));
        let rejected = FireRecord {
            outcome: Outcome::Rejected,
            last: at(120),
            count: None,
            lateness: None,
            reason: Some("WRONGTYPE a b".to_owned()),
            ..enqueued
        };
        let text = "rejected 60 120 - 60004 - WRONGTYPE a b";
        assert_eq!(text.parse(), Ok(rejected));
        for text in ["", "enqueued 60 60 1 60004", "gone 60 60 1 60004 4"] {
            let error = text.parse::<FireRecord>().unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("`{text}` is not a history record"))
            );
        }
    }
}

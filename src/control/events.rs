//! What happened to the schedulers, and what people did.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    control::error::ControlError,
    store::{Console, EventRecord},
};

/// How many events Redis keeps at most.
const MOST: usize = 1_000;

/// Something that happened, or that somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventStatus {
    /// When. Milliseconds, UTC.
    pub at: DateTime<Utc>,
    /// Who did it, or which scheduler it happened to.
    pub actor: String,
    /// What happened, such as `took_lease`.
    pub verb: String,
    /// What it was done to.
    pub target: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// To how many.
    pub count: Option<usize>,
}

/// Returns the events that Redis keeps, newest last.
///
/// # Errors
/// [`ControlError::Store`].
pub async fn events(console: &Console) -> Result<Vec<EventStatus>, ControlError> {
    let mut events = console.events(MOST).await?;
    events.reverse();
    Ok(events.into_iter().map(EventStatus::from).collect())
}

impl From<EventRecord> for EventStatus {
    fn from(event: EventRecord) -> Self {
        Self {
            at: event.at,
            actor: event.actor,
            verb: event.verb,
            target: event.target,
            reason: event.reason,
            count: event.count,
        }
    }
}

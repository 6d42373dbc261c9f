//! Enqueuing the job of an entry now.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    control::{actor::Actor, entries::find, error::ControlError},
    core::firing::outcome::Cause,
    store::Console,
};

/// What was enqueued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Triggered {
    /// The entry's name.
    pub entry: String,
    /// The queue, without namespace.
    pub queue: String,
    /// The payload, as it is in the queue.
    pub payload: String,
    /// Why this is not in the events, if it could not be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<String>,
}

/// Enqueues the job of an entry now, paused or not. The next scheduled fire does not change.
///
/// # Errors
/// [`ControlError::NoEntry`], and those of Redis.
pub async fn trigger(
    console: &Console,
    name: &str,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Triggered, ControlError> {
    let entry = find(console, name).await?;
    console.trigger(&entry, now).await?;
    let unrecorded = actor.note(console, "triggered", name, Some(1), now).await;
    Ok(Triggered {
        entry: name.to_owned(),
        queue: entry.job.queue().to_owned(),
        payload: entry.job.payload(Cause::Triggered, now).into_owned(),
        unrecorded,
    })
}

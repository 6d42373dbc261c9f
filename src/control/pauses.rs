//! Pausing and resuming entries.

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::Serialize;

use crate::{
    control::{
        actor::Actor,
        entries::{PauseStatus, find},
        error::ControlError,
    },
    store::{Console, Pause},
};

/// The name that events have for all entries.
const ALL: &str = "*";

/// What a pause or its end was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PauseChange {
    /// The entry; `None`: all entries.
    pub entry: Option<String>,
    /// Whether it is paused now.
    pub paused: bool,
    /// When the pause ends; `None`: when somebody resumes it.
    pub until: Option<DateTime<Utc>>,
    /// The pause of all entries, if it still holds for the entry that was resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub still_paused: Option<PauseStatus>,
    /// The number of entries that have a pause of their own, after all entries were resumed.
    pub others_paused: usize,
    /// Why this is not in the events, if it could not be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<String>,
}

/// Pauses an entry, or all entries (`None`), in place of an earlier pause. Fires that are due meanwhile are not caught up.
///
/// # Errors
/// [`ControlError::NoEntry`], and those of Redis.
pub async fn pause(
    console: &Console,
    entry: Option<&str>,
    until: Option<DateTime<Utc>>,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<PauseChange, ControlError> {
    if until.is_some_and(|until| until <= now) {
        return Err(ControlError::PauseOver);
    }
    if let Some(name) = entry {
        find(console, name).await?;
    }
    let pause = Pause {
        actor: Some(actor.name.clone()),
        reason: actor.reason.clone(),
        since: Some(now.trunc_subsecs(0)),
        until,
    };
    console.pause(entry, &pause).await?;
    let target = entry.unwrap_or(ALL);
    let unrecorded = actor.note(console, "paused", target, None, now).await;
    Ok(PauseChange {
        entry: entry.map(str::to_owned),
        paused: true,
        until,
        still_paused: None,
        others_paused: 0,
        unrecorded,
    })
}

/// Ends the pause of an entry, or that of all entries (`None`). It is no error if there is no pause.
///
/// # Errors
/// [`ControlError::Store`].
pub async fn resume(
    console: &Console,
    entry: Option<&str>,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<PauseChange, ControlError> {
    if let Some(name) = entry
        && !console.pauses().await?.entries.contains_key(name)
    {
        // A pause may outlive its entry.
        find(console, name).await?;
    }
    console.resume(entry).await?;
    let target = entry.unwrap_or(ALL);
    let unrecorded = actor.note(console, "resumed", target, None, now).await;
    let left = console.pauses().await?;
    let still_paused = match entry {
        Some(name) => left.of(name, now).map(PauseStatus::from),
        None => None,
    };
    let others = left.entries.values().filter(|pause| pause.lasts(now));
    Ok(PauseChange {
        entry: entry.map(str::to_owned),
        paused: still_paused.is_some(),
        until: still_paused.as_ref().and_then(|pause| pause.until),
        others_paused: if entry.is_none() { others.count() } else { 0 },
        still_paused,
        unrecorded,
    })
}

//! Pausing and resuming entries.

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::Serialize;

use crate::{
    control::{actor::Actor, entries::find, error::ControlError},
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
    actor.note(console, "paused", target, None, now).await?;
    Ok(PauseChange {
        entry: entry.map(str::to_owned),
        paused: true,
        until,
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
    actor.note(console, "resumed", target, None, now).await?;
    Ok(PauseChange {
        entry: entry.map(str::to_owned),
        paused: false,
        until: None,
    })
}

//! Who does something, and why.

use chrono::{DateTime, Utc};

use crate::store::{Console, EventRecord};

/// A person or a program that changes something, as the events name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `user@host`, or another name.
    pub name: String,
    /// Why it is done, in the actor's words.
    pub reason: Option<String>,
}

impl Actor {
    /// Records in Redis that this was done: `verb` such as `paused_entry`, its target, and to how many.
    ///
    /// Returns why it could not be recorded, if so: what was done stays done, and is not to be repeated.
    pub(super) async fn note(
        &self,
        console: &Console,
        verb: &str,
        target: &str,
        count: Option<usize>,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let event = EventRecord {
            at: now,
            actor: self.name.clone(),
            verb: verb.to_owned(),
            target: Some(target.to_owned()),
            reason: self.reason.clone(),
            count,
        };
        let noted = console.note_event(&event).await;
        noted.err().map(|error| error.to_string())
    }
}

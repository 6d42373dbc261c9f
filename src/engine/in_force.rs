//! The schedule in force, as the recurring loop gives it to the loop that publishes it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::core::schedule::Schedule;

/// The schedule that a leader has put in force.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    pub(super) schedule: Arc<Schedule>,
    /// Counts how often Redis may have had other entries than we published: in each term, and after it went back.
    pub(super) doubts: u64,
}

/// Where the recurring loop says what is to be published.
pub(super) struct ToPublish {
    in_force: watch::Sender<Option<InForce>>,
    doubts: u64,
}

/// Nothing yet.
impl Default for ToPublish {
    fn default() -> Self {
        let (in_force, _) = watch::channel(None);
        Self {
            in_force,
            doubts: 0,
        }
    }
}

impl ToPublish {
    pub(super) fn subscribe(&self) -> watch::Receiver<Option<InForce>> {
        self.in_force.subscribe()
    }

    /// Redis may have other entries than were published.
    pub(super) fn doubt(&mut self) {
        self.doubts += 1;
    }

    /// This schedule is in force, if there is one.
    pub(super) fn put(&self, schedule: Option<&Arc<Schedule>>) {
        let Some(schedule) = schedule else {
            return;
        };
        let (schedule, doubts) = (Arc::clone(schedule), self.doubts);
        self.in_force.send_if_modified(|before| {
            let is_same = before.as_ref().is_some_and(|before| {
                before.doubts == doubts && Arc::ptr_eq(&before.schedule, &schedule)
            });
            *before = Some(InForce { schedule, doubts });
            !is_same
        });
    }

    /// Another scheduler leads, and publishes.
    pub(super) fn nothing(&self) {
        self.in_force
            .send_if_modified(|before| before.take().is_some());
    }
}

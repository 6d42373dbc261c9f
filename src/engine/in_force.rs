//! Passes the schedule in force from the recurring loop to the loop that publishes it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::core::schedule::Schedule;

/// The schedule that a leader has put in force.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    pub(super) schedule: Arc<Schedule>,
    /// Incremented when Redis may have other entries than we published: in every new term, and after Redis went
    /// back in time.
    pub(super) doubts: u64,
}

/// Sending end, for the recurring loop.
pub(super) struct ToPublish {
    in_force: watch::Sender<Option<InForce>>,
    doubts: u64,
}

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

    /// Records that Redis may have other entries than were published, so that all of them are compared.
    pub(super) fn doubt(&mut self) {
        self.doubts += 1;
    }

    /// Passes on the schedule in force. Does nothing if it is `None`, and wakes the receiver only if it changed.
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

    /// Ends publishing, because another scheduler is the leader and publishes its own entries.
    pub(super) fn nothing(&self) {
        self.in_force
            .send_if_modified(|before| before.take().is_some());
    }
}

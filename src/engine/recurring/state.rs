//! State of one entry in this process, and its next fire.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    core::{
        firing::{
            decide::{self, Decision, decide},
            history::Progress,
            outcome::Cause,
        },
        schedule::entry::Entry,
    },
    engine::recurring::given_up::GivenUps,
};

/// Reason why the last fire of an entry was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The queue rejects the job.
    Queue,
    /// The fire is too early by Redis's clock.
    Clock,
}

/// One fire of the entry whose state has the index `index`.
pub(super) struct Pending {
    pub(super) index: usize,
    pub(super) fire_time: DateTime<Utc>,
    pub(super) cause: Cause,
}

/// State of one entry.
#[derive(Clone)]
pub(super) struct State {
    pub(super) entry: Arc<Entry>,
    pub(super) progress: Progress,
    /// Missed fires up to and including this time were decided not to be enqueued, even if Redis does not have that
    /// yet.
    pub(super) given_up: Option<DateTime<Utc>>,
    /// Why the last fire was refused. Logged only when it changes.
    pub(super) refused: Option<Refusal>,
    /// Second in which missed fires were last enqueued (Unix time), and how many.
    pub(super) caught_up: (i64, u32),
    /// Number of fires in a row that were skipped.
    pub(super) skipped: u32,
    /// Whether the last fire was paused. Logged only when it changes.
    pub(super) paused: bool,
}

impl State {
    /// Returns the next fire after `ahead` if it is due at `now`. Missed fires before it that are not to be
    /// enqueued are added to `given_up`, and the state and `ahead` advance past them.
    pub(super) fn next_fire(
        &mut self,
        ahead: &mut Progress,
        now: DateTime<Utc>,
        given_up: &mut GivenUps,
    ) -> Option<DateTime<Utc>> {
        loop {
            match decide(&self.entry, *ahead, now) {
                Decision::Fire(fire_time) => return Some(fire_time),
                Decision::Wait { .. } => return None,
                Decision::Missed { first, last } => {
                    given_up.add(&self.entry, *ahead, first, last);
                    self.progress.advance_to(last);
                    ahead.advance_to(last);
                    self.given_up = Some(last);
                }
            }
        }
    }

    /// Returns the fire of this entry for `fire_time`. `index` is the index of this state.
    pub(super) fn pending(
        &self,
        index: usize,
        fire_time: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Pending {
        let cause = if self.is_missed(fire_time, now) {
            Cause::CaughtUp
        } else {
            Cause::Scheduled
        };
        Pending {
            index,
            fire_time,
            cause,
        }
    }

    /// Whether a fire is too late to be on time.
    pub(super) fn is_missed(&self, fire_time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        decide::is_missed(&self.entry, fire_time, now)
    }

    /// Whether fewer than `most` missed fires were enqueued in this second.
    pub(super) fn may_catch_up(&self, now: DateTime<Utc>, most: u32) -> bool {
        let (second, count) = self.caught_up;
        second != now.timestamp() || count < most
    }

    /// Counts one more missed fire that is enqueued.
    pub(super) fn note_caught_up(&mut self, now: DateTime<Utc>) {
        let (second, count) = self.caught_up;
        let count = if second == now.timestamp() { count } else { 0 };
        self.caught_up = (now.timestamp(), count + 1);
    }
}

//! Where one entry stands in this process, and which of its fires comes next.

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

/// Who refused the last fire of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its queue does not take the job.
    Queue,
    /// It is too early by Redis' clock.
    Clock,
}

/// One fire of the entry at `index` of the states.
pub(super) struct Pending {
    pub(super) index: usize,
    pub(super) fire_time: DateTime<Utc>,
    pub(super) cause: Cause,
}

/// Where one entry stands.
#[derive(Clone)]
pub(super) struct State {
    pub(super) entry: Arc<Entry>,
    pub(super) progress: Progress,
    /// All up to here, inclusive, was given up, whatever Redis knows.
    pub(super) given_up: Option<DateTime<Utc>>,
    /// Its last fire was refused; that is logged once.
    pub(super) refused: Option<Refusal>,
    /// In which second missed fires were enqueued last, and how many.
    pub(super) caught_up: (i64, u32),
    /// How many of its last fires its guard skipped.
    pub(super) skipped: u32,
    /// Its last fire was paused; that is logged once.
    pub(super) paused: bool,
}

impl State {
    /// Returns the next fire after `ahead`, if one is due at `now`. Fires that are given up before it are settled,
    /// and added to `given_up`.
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

    /// The fire of this state, which has this index, for `fire_time`.
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

    /// Whether a fire is not on time any more.
    pub(super) fn is_missed(&self, fire_time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        decide::is_missed(&self.entry, fire_time, now)
    }

    /// Whether fewer than `most` missed fires were enqueued in this second.
    pub(super) fn may_catch_up(&self, now: DateTime<Utc>, most: u32) -> bool {
        let (second, count) = self.caught_up;
        second != now.timestamp() || count < most
    }

    /// Counts one more missed fire.
    pub(super) fn note_caught_up(&mut self, now: DateTime<Utc>) {
        let (second, count) = self.caught_up;
        let count = if second == now.timestamp() { count } else { 0 };
        self.caught_up = (now.timestamp(), count + 1);
    }
}

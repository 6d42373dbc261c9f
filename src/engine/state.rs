//! Where one entry stands in this process, and what becomes of its fires.

use std::{mem, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    core::{
        firing::{
            decide::{self, Decision, decide},
            history::Progress,
        },
        schedule::entry::Entry,
    },
    events::{Event, Events},
    store::FireOutcome,
};

/// Who refused the last fire of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its queue does not take the job.
    Queue,
    /// It is too early by Redis' clock.
    Clock,
}

/// Where one entry stands.
#[derive(Clone)]
pub(super) struct State {
    pub(super) entry: Arc<Entry>,
    pub(super) progress: Progress,
    /// All up to here, inclusive, was given up and told as missed, whatever Redis knows.
    pub(super) given_up: Option<DateTime<Utc>>,
    /// Its last fire was refused; that is logged once.
    pub(super) refused: Option<Refusal>,
    /// In which second missed fires were enqueued last, and how many.
    pub(super) caught_up: (i64, u32),
    /// How many of its last fires its guard skipped.
    pub(super) skipped: u32,
}

impl State {
    /// Returns the next fire after `ahead`, if one is due at `now`. Fires that are given up before it are settled.
    pub(super) fn next_fire(
        &mut self,
        ahead: &mut Progress,
        now: DateTime<Utc>,
        events: &Events,
    ) -> Option<DateTime<Utc>> {
        loop {
            match decide(&self.entry, *ahead, now) {
                Decision::Fire(fire_time) => return Some(fire_time),
                Decision::Wait { .. } => return None,
                Decision::Missed { first, last } => {
                    let entry = &*self.entry;
                    events.emit(&Event::Missed { entry, first, last });
                    self.progress.settle(last);
                    ahead.settle(last);
                    self.given_up = Some(last);
                }
            }
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

    /// Records at `now` what became of the fire for `fire_time`, and reports it.
    pub(super) fn record(
        &mut self,
        fire_time: DateTime<Utc>,
        outcome: &FireOutcome,
        now: DateTime<Utc>,
        events: &Events,
    ) {
        if *outcome == FireOutcome::PutOff {
            // It is still due, and the next batch has it.
            return;
        }
        let Self {
            entry,
            progress,
            refused,
            skipped,
            ..
        } = self;
        let refusal = match outcome {
            FireOutcome::Rejected(_) => Some(Refusal::Queue),
            FireOutcome::TooEarly => Some(Refusal::Clock),
            _ => None,
        };
        let known = mem::replace(refused, refusal) == refusal;
        match outcome {
            FireOutcome::Fired => {
                progress.fired(fire_time);
                *skipped = 0;
                let lateness = now - entry.due_at(fire_time);
                events.emit(&Event::Fired {
                    entry,
                    fire_time,
                    lateness,
                });
            }
            FireOutcome::AlreadyFired => {
                // Or skipped, and then it is none of its times: Redis counts them.
                progress.settle(fire_time);
                events.emit(&Event::AlreadyFired { entry, fire_time });
            }
            FireOutcome::HadAll => {
                progress.had_all();
                events.emit(&Event::AlreadyFired { entry, fire_time });
            }
            FireOutcome::Skipped(reason) => {
                progress.settle(fire_time);
                *skipped = skipped.saturating_add(1);
                let (reason, in_a_row) = (*reason, *skipped);
                events.emit(&Event::Skipped {
                    entry,
                    fire_time,
                    reason,
                    in_a_row,
                });
            }
            FireOutcome::Rejected(_) | FireOutcome::TooEarly if known => {}
            FireOutcome::Rejected(reason) => events.emit(&Event::FireRejected {
                entry,
                fire_time,
                reason,
            }),
            FireOutcome::PutOff => {}
            FireOutcome::TooEarly => events.emit(&Event::FireTooEarly { entry, fire_time }),
        }
    }
}

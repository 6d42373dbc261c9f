//! Where one entry stands in this process, and what becomes of its fires.

use std::{mem, sync::Arc};

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
    events::{Event, Events},
    store::{FireOutcome, Missed, MissedOutcome},
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

/// Fire times of an entry that were given up, for its history.
pub(super) struct GivenUp {
    pub(super) entry: Arc<Entry>,
    pub(super) first: DateTime<Utc>,
    pub(super) last: DateTime<Utc>,
    /// How many they are; `None`: too many to be counted.
    pub(super) count: Option<u32>,
}

impl GivenUp {
    /// The same, for Redis.
    pub(super) fn missed(&self) -> Missed<'_> {
        Missed {
            name: &self.entry.name,
            first: self.first,
            last: self.last,
            count: self.count,
        }
    }

    /// Logs what it was recorded as.
    pub(super) fn report(&self, outcome: MissedOutcome, events: &Events) {
        let Self {
            entry, first, last, ..
        } = self;
        let (entry, first, last) = (&**entry, *first, *last);
        match outcome {
            MissedOutcome::Missed => events.emit(&Event::Missed {
                entry,
                first,
                last,
                count: self.count,
            }),
            MissedOutcome::Paused => events.emit(&Event::Paused {
                entry,
                fire_time: last,
            }),
            // That one has logged it.
            MissedOutcome::Fired => {}
        }
    }
}

/// What was given up while fires were looked for.
pub(super) struct GivenUps {
    pub(super) found: Vec<GivenUp>,
    /// How many fire times may still be counted: the other loops wait meanwhile.
    countable: u32,
}

impl Default for GivenUps {
    fn default() -> Self {
        Self {
            found: vec![],
            countable: 20_000,
        }
    }
}

impl GivenUps {
    fn add(
        &mut self,
        entry: &Arc<Entry>,
        progress: Progress,
        first: DateTime<Utc>,
        until: DateTime<Utc>,
    ) {
        let (last, count) = decide::counted(entry, progress, (first, until), self.countable);
        self.countable = self.countable.saturating_sub(count.unwrap_or(u32::MAX));
        self.found.push(GivenUp {
            entry: Arc::clone(entry),
            first,
            last,
            count,
        });
    }
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

    /// Takes note at `now` of what became of a fire, and reports it.
    pub(super) fn record(
        &mut self,
        fire: &Pending,
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
            paused,
            ..
        } = self;
        let Pending {
            fire_time, cause, ..
        } = *fire;
        let was_paused = mem::replace(paused, *outcome == FireOutcome::Paused);
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
                    cause,
                    lateness,
                });
            }
            FireOutcome::AlreadyFired => {
                // Or skipped, and then it is none of its times: Redis counts them.
                progress.advance_to(fire_time);
                events.emit(&Event::AlreadyFired { entry, fire_time });
            }
            FireOutcome::HadAll => {
                progress.had_all();
                events.emit(&Event::AlreadyFired { entry, fire_time });
            }
            FireOutcome::Skipped(reason) => {
                progress.advance_to(fire_time);
                *skipped = skipped.saturating_add(1);
                let (reason, in_a_row) = (*reason, *skipped);
                events.emit(&Event::Skipped {
                    entry,
                    fire_time,
                    reason,
                    in_a_row,
                });
            }
            FireOutcome::Paused => {
                progress.advance_to(fire_time);
                if !was_paused {
                    events.emit(&Event::Paused { entry, fire_time });
                }
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

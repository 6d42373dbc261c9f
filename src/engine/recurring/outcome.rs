//! Applies the outcome of a fire to the state of its entry.

use std::mem;

use chrono::{DateTime, Utc};

use crate::{
    engine::recurring::state::{Pending, Refusal, State},
    events::{Event, Events},
    store::FireOutcome,
};

impl State {
    /// Applies the outcome of a fire to the state and reports it. `now` is the time after the call.
    pub(super) fn record(
        &mut self,
        fire: &Pending,
        outcome: &FireOutcome,
        now: DateTime<Utc>,
        events: &Events,
    ) {
        if *outcome == FireOutcome::PutOff {
            // The fire is still due and goes in the next batch.
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
                // The fire may also have been skipped, and skipped fires do not count towards `times`. Redis counts
                // them.
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

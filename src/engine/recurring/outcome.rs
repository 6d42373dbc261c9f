//! What became of a fire of an entry.

use std::mem;

use chrono::{DateTime, Utc};

use crate::{
    engine::recurring::state::{Pending, Refusal, State},
    events::{Event, Events},
    store::FireOutcome,
};

impl State {
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

//! A tick: fires a batch of what is due, and schedules the next look at its entries.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    engine::{
        breath::Breath,
        recurring::{
            Recurring,
            agenda::{Agenda, FIRST_BATCH, LARGEST_BATCH, Plans},
            state::Refusal,
        },
        tick::Tick,
    },
    store::{FireOutcome, Store, StoreError},
};

/// Pause before a rejected fire is retried.
const RETRY: TimeDelta = TimeDelta::seconds(1);

impl<S: Store> Recurring<S> {
    /// Fires a batch of what is due at `now`, and decides what happens to missed fires.
    ///
    /// # Errors
    /// [`StoreError`]; fires that were not recorded are still due, and calling this again is safe.
    pub async fn tick(&mut self, now: DateTime<Utc>) -> Result<Tick, StoreError> {
        if now < self.ticked {
            // The clock went back, so a retry that was a second away may now be far away.
            self.plan_again().await;
            let refused = self.states.iter_mut().map(|state| &mut state.refused);
            refused.for_each(|it| *it = it.filter(|it| *it != Refusal::Clock));
            self.summary = None;
        }
        self.ticked = now;
        let size = self.batch;
        let batch = self
            .agenda
            .collect(&mut self.states, now, size, self.catch_up);
        self.remember_given_up(batch.given_up.found);
        let outcomes = self.send(&batch.fires, now).await;
        let mut already_fired = vec![];
        if let Ok(Some(outcomes)) = &outcomes {
            let fires = &batch.fires;
            self.memory.note_witness(&self.states, fires, outcomes);
            for (pending, outcome) in batch.fires.iter().zip(outcomes) {
                let (now, state) = (self.clock.now(), &mut self.states[pending.index]);
                let before = (state.refused, state.paused);
                state.record(pending, outcome, now, &self.events);
                if before != (state.refused, state.paused) {
                    self.summary = None;
                }
                if *outcome == FireOutcome::AlreadyFired {
                    already_fired.push(pending.index);
                }
            }
        }
        for index in batch.looked_at {
            match &self.states[index] {
                state if state.refused.is_none() => self.agenda.plan(index, state),
                _ => self.agenda.plan_at(now + RETRY, index),
            }
        }
        if outcomes.is_err() {
            // Send fires one by one, so that a fire that cannot be sent in time does not delay the others.
            self.batch = 1;
        }
        let tick = match outcomes? {
            Some(_) => self.agenda.until(now),
            None => Tick::LeaseLost,
        };
        self.look_again(&already_fired, now).await?;
        self.batch = match tick {
            Tick::More => LARGEST_BATCH.min(2 * self.batch),
            _ => FIRST_BATCH,
        };
        match tick {
            Tick::Done { .. } if !self.note_some_given_up(now).await? => Ok(Tick::LeaseLost),
            Tick::Done { .. } if !self.given_up.is_empty() => Ok(Tick::More),
            tick => Ok(tick),
        }
    }

    /// Computes again when to look at each entry.
    async fn plan_again(&mut self) {
        let (mut plans, mut breath) = (Plans::default(), Breath::default());
        for (index, state) in self.states.iter().enumerate() {
            breath.entry().await;
            plans.add(index, state);
        }
        self.agenda = Agenda::default();
        self.agenda.extend(plans);
    }
}

//! What all entries come to: how many are in trouble, and the first of them.

use crate::engine::recurring::state::{Refusal, State};

/// What the states come to. To look at a million of them takes milliseconds: that is done when one may have changed.
#[derive(Default)]
pub(super) struct Summary {
    pub(super) paused: usize,
    pub(super) rejected: Refused,
    pub(super) early: Refused,
}

/// Entries whose last fire was refused for one reason.
#[derive(Default)]
pub(super) struct Refused {
    pub(super) number: usize,
    /// The index of the first of them.
    pub(super) first: usize,
}

impl Refused {
    fn add(&mut self, index: usize) {
        if self.number == 0 {
            self.first = index;
        }
        self.number += 1;
    }
}

impl Summary {
    pub(super) fn of(states: &[State]) -> Self {
        let mut summary = Self::default();
        for (index, state) in states.iter().enumerate() {
            summary.paused += usize::from(state.paused);
            match state.refused {
                Some(Refusal::Queue) => summary.rejected.add(index),
                Some(Refusal::Clock) => summary.early.add(index),
                None => {}
            }
        }
        summary
    }
}

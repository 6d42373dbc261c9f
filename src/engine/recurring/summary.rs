//! Counts the entries that are paused or whose fires are refused.

use crate::engine::recurring::state::{Refusal, State};

/// Summary of all states. Computing it for a million entries takes milliseconds, so it is kept until a state
/// changes.
#[derive(Default)]
pub(super) struct Summary {
    pub(super) paused: usize,
    pub(super) rejected: Refused,
    pub(super) early: Refused,
}

/// Entries whose last fire was refused for the same reason.
#[derive(Default)]
pub(super) struct Refused {
    pub(super) number: usize,
    /// Index of the first of these entries.
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

//! A schedule with very many changes comes into force in several steps, for fires wait meanwhile.

use std::sync::Arc;

use crate::{
    core::schedule::{Changes, Schedule},
    engine::breath::Breath,
};

/// How many changes of a schedule come into force in one step, at least; and at most in how many steps all of them.
const CHANGES: usize = 2_000;
const STEPS: usize = 20;

/// Returns the next schedule on the way from `old` to `new`, and the changes from `old` to it.
pub(super) async fn step(old: &Schedule, new: &Arc<Schedule>) -> (Arc<Schedule>, Changes) {
    let (mut changes, mut breath) = (Changes::default(), Breath::default());
    let mut left = CHANGES.max(new.entries().len() / STEPS);
    for difference in old.differences(new) {
        breath.entry().await;
        left -= usize::from(changes.add(&difference));
        if left == 0 {
            let next = old.replaced_up_to(difference.name(), new);
            return (Arc::new(next), changes);
        }
    }
    (Arc::clone(new), changes)
}

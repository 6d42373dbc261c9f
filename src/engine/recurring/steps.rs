//! Puts a schedule with very many changes in force in several steps, because fires wait during each step.

use std::sync::Arc;

use crate::{
    core::schedule::{Changes, Schedule},
    engine::breath::Breath,
};

/// Minimum number of changes in one step, and maximum number of steps.
const CHANGES: usize = 2_000;
const STEPS: usize = 20;

/// Returns the next intermediate schedule between `old` and `new`, and the changes from `old` to it.
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

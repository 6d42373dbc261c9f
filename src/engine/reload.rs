//! A new schedule for the running engine, or none: a schedule with a mistake changes nothing.

use std::sync::Arc;

use tokio::{sync::watch, task};

use crate::{config::Report, core::schedule::Schedule, events::Transition};

/// Reads the schedule anew. May block.
pub type Load = Arc<dyn Fn() -> Result<Schedule, Report> + Send + Sync>;

/// Reads the schedule and publishes it; keeps the one in force if there are mistakes (law 7 of
/// docs/design.md).
///
/// # Panics
/// If reading panicked.
pub(super) async fn reload(load: &Load, in_force: &watch::Sender<Arc<Schedule>>) {
    let load = Arc::clone(load);
    match task::spawn_blocking(move || load()).await {
        Ok(Ok(new)) => {
            Transition::Reloaded(&in_force.borrow().changes_to(&new)).emit();
            in_force.send_replace(Arc::new(new));
        }
        Ok(Err(report)) => {
            let report = &report.to_string();
            Transition::ReloadRefused { report }.emit();
        }
        Err(ended) => super::rethrow(Err(ended)),
    }
}

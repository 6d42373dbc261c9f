//! A new schedule for the running engine, or none: a schedule with a mistake changes nothing.

use std::sync::Arc;

use tokio::{sync::watch, task};

use crate::{config::Report, core::schedule::Schedule, events::Transition};

/// Reads the schedule anew. May block.
pub type Load = Arc<dyn Fn() -> Result<Schedule, Report> + Send + Sync>;

/// Reads the schedule and publishes it; keeps the one in force if there are mistakes (law 7 of
/// docs/design.md), or nothing: a file that is just being written is empty for a moment.
///
/// # Panics
/// If reading panicked.
pub(super) async fn reload(load: &Load, in_force: &watch::Sender<Arc<Schedule>>) {
    let load = Arc::clone(load);
    let refused = match task::spawn_blocking(move || load()).await {
        Ok(Ok(new)) => {
            let old = Arc::clone(&in_force.borrow());
            if new.entries().len() > 0 || old.entries().len() == 0 {
                Transition::Reloaded(&old.changes_to(&new)).emit();
                in_force.send_replace(Arc::new(new));
                return;
            }
            "it has no entries; to have none, start anew".to_owned()
        }
        Ok(Err(report)) => report.to_string(),
        Err(ended) => return super::rethrow(Err(ended)),
    };
    Transition::ReloadRefused { report: &refused }.emit();
}

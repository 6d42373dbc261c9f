//! A new schedule for the running engine, or none: a schedule with a mistake changes nothing.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{config::Report, core::schedule::Schedule, events::Transition};

/// Reads the schedule anew.
pub type Load = Arc<dyn Fn() -> Result<Schedule, Report> + Send + Sync>;

/// Reads the schedule and publishes it if it differs; keeps the one in force if there are
/// mistakes (DESIGN, law 7).
pub(super) fn reload(load: &Load, in_force: &watch::Sender<Arc<Schedule>>) {
    match load() {
        Ok(schedule) => {
            let changes = in_force.borrow().changes_to(&schedule);
            Transition::Reloaded(&changes).emit();
            in_force.send_replace(Arc::new(schedule));
        }
        Err(report) => {
            let report = &report.to_string();
            Transition::ReloadRefused { report }.emit();
        }
    }
}

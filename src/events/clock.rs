//! The log lines about clocks.

use chrono::{DateTime, Utc};
use tracing::{error, info, warn};

use crate::{
    core::{excerpt::excerpt, schedule::entry::Entry},
    events::{Transition, shown},
};

/// Logs how far this host's clock is ahead of Redis' clock.
pub(super) fn log_skew(transition: &Transition<'_>, ahead_s: f64) {
    match transition {
        Transition::ClockRight { .. } => {
            info!(ahead_s, "this host's clock is Redis' clock again");
        }
        Transition::ClockTooFarOff { .. } => error!(
            ahead_s,
            "this host's clock is too far off Redis' clock; not leading until one of them is mended"
        ),
        _ => warn!(
            ahead_s,
            "this host's clock is not Redis' clock, one of them is wrong"
        ),
    }
}

/// Logs that an entry waits for a time in the future, and what corrects that.
pub(super) fn log_ahead(entry: &Entry, until: DateTime<Utc>, correction: Option<&str>) {
    let (entry, until) = (&*excerpt(&entry.name), shown(until));
    match correction {
        None => warn!(
            entry,
            until, "last fire time is in the future; entry waits until then"
        ),
        Some(correction) => error!(
            entry,
            until,
            correction,
            "last fire time is far in the future; entry waits until then; to mend it, send the correction to \
             Redis and restart the leader"
        ),
    }
}

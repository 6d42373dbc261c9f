//! Counts events for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    core::{firing::outcome::Cause, schedule::overlap::SkipReason},
    events::{event::Event, sink::Sink},
};

/// Counts the events of an engine since it started.
#[derive(Debug, Default)]
pub struct Counters(Counts<AtomicU64>);

/// Number of times that each thing happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts<N = u64> {
    /// Fires whose job was enqueued on time.
    pub fired: N,
    /// Fires that were caught up.
    pub caught_up: N,
    /// Fires that had already been enqueued.
    pub already_fired: N,
    /// Fires that were skipped because the queue was full.
    pub skipped_queue_full: N,
    /// Fires that were skipped because an identical job was in the queue.
    pub skipped_queued: N,
    /// Fires that were skipped because an identical job was running.
    pub skipped_running: N,
    /// Ranges of missed fires of one entry that were not enqueued.
    pub missed: N,
    /// Fires that their queue rejected. The retries of a fire are not counted.
    pub rejected: N,
    /// Fires that were too early by Redis's clock. The retries of a fire are not counted.
    pub too_early: N,
    /// Delayed jobs that were moved to their queues.
    pub delayed_moved: N,
    /// Delayed items that were quarantined.
    pub quarantined: N,
    /// How often this process became the leader.
    pub leases_taken: N,
    /// How often this process stopped being the leader, except when it stopped.
    pub leases_lost: N,
    /// Reloads that put a schedule in force.
    pub reloads: N,
    /// Reloads whose schedule had errors.
    pub reloads_rejected: N,
    /// Reloads that took too long, or that did not start because too many others hung.
    pub reloads_given_up: N,
    /// Outages of Redis.
    pub redis_outages: N,
}

impl Counters {
    /// Returns the current counts. Events that happen during the call may be counted in part.
    pub fn snapshot(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.0;
        Counts {
            fired: read(&counts.fired),
            caught_up: read(&counts.caught_up),
            already_fired: read(&counts.already_fired),
            skipped_queue_full: read(&counts.skipped_queue_full),
            skipped_queued: read(&counts.skipped_queued),
            skipped_running: read(&counts.skipped_running),
            missed: read(&counts.missed),
            rejected: read(&counts.rejected),
            too_early: read(&counts.too_early),
            delayed_moved: read(&counts.delayed_moved),
            quarantined: read(&counts.quarantined),
            leases_taken: read(&counts.leases_taken),
            leases_lost: read(&counts.leases_lost),
            reloads: read(&counts.reloads),
            reloads_rejected: read(&counts.reloads_rejected),
            reloads_given_up: read(&counts.reloads_given_up),
            redis_outages: read(&counts.redis_outages),
        }
    }
}

impl Sink for Counters {
    fn note(&self, event: &Event<'_>) {
        let counts = &self.0;
        let (count, by) = match event {
            Event::Fired {
                cause: Cause::CaughtUp,
                ..
            } => (&counts.caught_up, 1),
            Event::Fired { .. } => (&counts.fired, 1),
            Event::AlreadyFired { .. } => (&counts.already_fired, 1),
            Event::Skipped { reason, .. } => match reason {
                SkipReason::QueueFull => (&counts.skipped_queue_full, 1),
                SkipReason::Queued => (&counts.skipped_queued, 1),
                SkipReason::Running => (&counts.skipped_running, 1),
            },
            Event::Missed { .. } => (&counts.missed, 1),
            Event::FireRejected { .. } => (&counts.rejected, 1),
            Event::FireTooEarly { .. } => (&counts.too_early, 1),
            Event::DelayedMoved { queues, .. } => {
                let jobs: usize = queues.values().sum();
                (&counts.delayed_moved, jobs as u64)
            }
            Event::DelayedQuarantined { .. } => (&counts.quarantined, 1),
            Event::LeaseTaken { .. } => (&counts.leases_taken, 1),
            Event::LeaseLost { .. } => (&counts.leases_lost, 1),
            Event::Reloaded(_) => (&counts.reloads, 1),
            Event::ReloadRejected { .. } => (&counts.reloads_rejected, 1),
            Event::ReloadGivenUp { .. } | Event::ReloadImpossible { .. } => {
                (&counts.reloads_given_up, 1)
            }
            // Later events of an outage are reminders.
            Event::RedisLost { lasting, .. } if lasting.is_zero() => (&counts.redis_outages, 1),
            _ => return,
        };
        count.fetch_add(by, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc, time::Duration};

    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::{
        config::{self, Context, Source},
        core::schedule::Changes,
        events::sink::Events,
    };

    #[test]
    fn each_event_is_counted_once_and_reminders_of_an_outage_are_not() {
        let counters = Arc::new(Counters::default());
        let events = Events::new(vec![Arc::clone(&counters) as _]);
        assert_eq!(counters.snapshot(), Counts::default());
        let source = Source::new("a.toml", "[schedule.entry]\nevery = '1h'\nqueue = 'q'\n");
        let loaded = config::parse(&[source], &Context::default()).unwrap();
        let entry = loaded.schedule.get("entry").unwrap();
        let (fire_time, lateness) = (DateTime::UNIX_EPOCH, TimeDelta::zero());
        events.emit(&Event::Fired {
            entry,
            fire_time,
            cause: Cause::Scheduled,
            lateness,
        });
        for in_a_row in [1, 2] {
            events.emit(&Event::Skipped {
                entry,
                fire_time,
                reason: SkipReason::Queued,
                in_a_row,
            });
        }
        for jobs in [300, 7] {
            let queues = &BTreeMap::from([("mail".to_owned(), jobs)]);
            events.emit(&Event::DelayedMoved { queues, lateness });
        }
        for seconds in [0, 60, 120, 0] {
            events.clone().emit(&Event::RedisLost {
                error: "gone",
                lasting: Duration::from_secs(seconds),
            });
        }
        events.emit(&Event::RedisBack);
        events.emit(&Event::Reloaded(&Changes::default()));
        events.emit(&Event::ReloadImpossible { hanging: 3 });
        events.emit(&Event::LeaseLost { reason: "why" });
        let expected = Counts {
            fired: 1,
            skipped_queued: 2,
            delayed_moved: 307,
            redis_outages: 2,
            reloads: 1,
            reloads_given_up: 1,
            leases_lost: 1,
            ..Counts::default()
        };
        assert_eq!(counters.snapshot(), expected);
    }
}

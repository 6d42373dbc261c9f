//! Writes one log line for each event. Messages are constant, so that people can search for them.

mod text;

use std::time::Duration;

use chrono::TimeDelta;
use tracing::{debug, error, info, warn};

use crate::{
    config::{Diagnostic, Loaded, Place},
    core::{excerpt::excerpt, firing::outcome::Outcome},
    events::{
        event::Event,
        log::text::{counted, listed, shown},
        sink::Sink,
    },
};

/// Writes each event to the log of this process.
pub struct Log {
    /// Whether the errors of a rejected reload are one field of its line, for programs. Otherwise each error has
    /// its own line, for people.
    pub errors_as_field: bool,
}

impl Sink for Log {
    #[expect(clippy::too_many_lines, reason = "one arm for each event")]
    fn note(&self, event: &Event<'_>) {
        match event {
            Event::Fired {
                entry,
                fire_time,
                cause,
                lateness,
            } => info!(
                entry = &*excerpt(&entry.name),
                class = &*excerpt(entry.job.class()),
                queue = &*excerpt(entry.job.queue()),
                fire_time = shown(*fire_time),
                outcome = cause.outcome().as_str(),
                lateness_ms = lateness.num_milliseconds(),
                "fired"
            ),
            Event::AlreadyFired { entry, fire_time } => info!(
                entry = &*excerpt(&entry.name),
                fire_time = shown(*fire_time),
                "already fired"
            ),
            Event::Skipped {
                entry,
                fire_time,
                reason,
                in_a_row,
            } => info!(
                entry = &*excerpt(&entry.name),
                queue = &*excerpt(entry.job.queue()),
                fire_time = shown(*fire_time),
                outcome = Outcome::from(*reason).as_str(),
                in_a_row,
                "skipped"
            ),
            Event::Paused { entry, fire_time } => info!(
                entry = &*excerpt(&entry.name),
                fire_time = shown(*fire_time),
                outcome = Outcome::Paused.as_str(),
                "paused"
            ),
            Event::Missed {
                entry,
                first,
                last,
                count,
            } => warn!(
                entry = &*excerpt(&entry.name),
                first = shown(*first),
                last = shown(*last),
                count,
                outcome = Outcome::Missed.as_str(),
                catch_up = entry.catch_up.policy.as_str(),
                catch_up_window_s = entry.catch_up.window.num_seconds(),
                "missed fires skipped"
            ),
            Event::FireRejected {
                entry,
                fire_time,
                reason,
            } => error!(
                entry = &*excerpt(&entry.name),
                queue = &*excerpt(entry.job.queue()),
                fire_time = shown(*fire_time),
                outcome = Outcome::Rejected.as_str(),
                reason,
                "queue rejects the job; retrying"
            ),
            Event::FireTooEarly { entry, fire_time } => error!(
                entry = &*excerpt(&entry.name),
                fire_time = shown(*fire_time),
                "fire is too early by Redis' clock; retrying every second"
            ),

            Event::EntryStatus {
                entry,
                last_enqueued,
                last_outcome,
                next,
            } => info!(
                entry = &*excerpt(&entry.name),
                timing = &*excerpt(&entry.timing.to_string()),
                last_enqueued = last_enqueued.map(shown),
                last_outcome = last_outcome.map(Outcome::as_str),
                next = next.map(shown),
                "entry"
            ),
            Event::EntryStatusUnknown { error } => {
                warn!(error, "cannot read the records of entries");
            }
            Event::AheadOfClock {
                entry,
                until,
                correction: None,
            } => warn!(
                entry = &*excerpt(&entry.name),
                until = shown(*until),
                "last fire time is in the future; entry waits until then"
            ),
            Event::AheadOfClock {
                entry,
                until,
                correction: Some(correction),
            } => error!(
                entry = &*excerpt(&entry.name),
                until = shown(*until),
                correction,
                "last fire time is far in the future; entry waits until then; to correct it, send the command in \
                 `correction` to Redis and restart the leader"
            ),
            Event::EntriesLeft { entries } => info!(
                count = entries.len(),
                entries = listed(entries),
                "entries left the schedule; removing their records in a day unless they return"
            ),
            Event::EntriesForgotten { entries } => info!(
                count = entries.len(),
                entries = listed(entries),
                "removed the records of entries that left the schedule"
            ),
            Event::RecordsLost { key, entries } => warn!(
                count = entries.len(),
                entries = listed(entries),
                key,
                "Redis lost the last fire times of entries; continuing from other records; if Redis evicts keys, \
                 set its maxmemory-policy to noeviction"
            ),
            Event::RecordsIgnored { records } => warn!(
                records = listed(records),
                "invalid records of entries; ignoring them; remove these fields"
            ),
            Event::StampsUnreadable { error } => error!(
                error,
                "cannot read resque-scheduler's timestamps; continuing without them"
            ),

            Event::DelayedMoved { queues, lateness } => info!(
                jobs = queues.values().sum::<usize>(),
                queues = counted(queues),
                lateness_ms = lateness.num_milliseconds(),
                "moved delayed jobs"
            ),
            Event::DelayedQuarantined {
                bucket,
                class,
                queue,
                reason,
            } => warn!(
                bucket,
                class = class.map(excerpt).as_deref(),
                queue = queue.map(excerpt).as_deref(),
                reason,
                "delayed job cannot be enqueued; moved it to quarantine"
            ),
            Event::BucketTooEarly { bucket } => error!(
                bucket,
                "delayed jobs are too early by Redis' clock; retrying every second"
            ),
            Event::BucketStuck { bucket, reason } => {
                error!(bucket, reason, "bucket is stuck; leaving it in place");
            }

            Event::LeaseTaken {
                holder,
                lease,
                lock,
            } => info!(
                holder,
                lock,
                lease_s = lease.as_secs_f64(),
                "became the leader"
            ),
            Event::LeaseRenewed => debug!("lease renewed"),
            Event::LeaseLost { reason } => warn!(reason, "no longer the leader"),
            Event::LeaseReleased => info!("lease released"),
            Event::Following { holder, lock } => {
                info!(leader = &*excerpt(holder), lock, "following");
            }
            Event::LockStuck {
                holder,
                lock,
                lease,
            } => warn!(
                leader = &*excerpt(holder),
                lock,
                lease_s = lease.as_secs_f64(),
                "the leader's lock has no TTL; taking over if it stays unchanged for one lease"
            ),

            Event::Status {
                leading,
                leader,
                lease_left,
                skew,
                quarantined,
                paused,
                next,
                problems,
            } => {
                let leader = leader.map(excerpt);
                let leader = leader.as_deref();
                // Milliseconds are enough for people.
                let lease_left_s = lease_left.map(|it| {
                    Duration::from_millis(it.as_millis().try_into().unwrap_or(u64::MAX))
                        .as_secs_f64()
                });
                let skew_s = skew.map(TimeDelta::as_seconds_f64);
                let next_entry = next.map(|(entry, _)| excerpt(entry));
                let next_entry = next_entry.as_deref();
                let next = next.map(|(_, at)| shown(at));
                if problems.is_empty() {
                    info!(
                        leading,
                        quarantined,
                        leader,
                        lease_left_s,
                        skew_s,
                        paused,
                        next_entry,
                        next,
                        "healthy"
                    );
                } else {
                    let problems = problems.join("; ");
                    warn!(
                        leading,
                        problems,
                        quarantined,
                        leader,
                        lease_left_s,
                        skew_s,
                        paused,
                        next_entry,
                        next,
                        "unhealthy"
                    );
                }
            }
            Event::ClockSkewed { skew } => warn!(
                ahead_s = skew.as_seconds_f64(),
                "this host's clock differs from Redis' clock; one of them is wrong"
            ),
            Event::ClockTooFarOff { skew } => error!(
                ahead_s = skew.as_seconds_f64(),
                "this host's clock is too far off Redis' clock; not leading until one of them is corrected"
            ),
            Event::ClockRight { skew } => info!(
                ahead_s = skew.as_seconds_f64(),
                "this host's clock agrees with Redis' clock again"
            ),
            Event::ConnectionLost { error } => debug!(error, "connection lost; opening another"),
            Event::RedisLost { error, lasting } => error!(
                error,
                lasting_s = lasting.as_secs(),
                "cannot use Redis; retrying"
            ),
            Event::RedisBack => info!("Redis is back"),

            Event::Reloaded(changes) => info!(
                added = listed(&changes.added),
                changed = listed(&changes.changed),
                removed = listed(&changes.removed),
                "schedule reloaded"
            ),
            Event::ReloadRejected { report } => {
                let (shown, more) = report.shown();
                let errors = if self.errors_as_field {
                    Some(shown.map(in_one_line).collect::<Vec<_>>().join("; "))
                } else {
                    shown.for_each(log_mistake);
                    None
                };
                error!(
                    count = report.mistakes().count(),
                    not_shown = more,
                    errors,
                    "reload rejected; keeping the previous schedule"
                );
            }
            Event::ReloadGivenUp { limit } => error!(
                limit_s = limit.as_secs(),
                "reload timed out reading a schedule file; keeping the previous schedule"
            ),
            Event::ReloadImpossible { hanging } => error!(
                hanging,
                "earlier reloads are still reading; keeping the previous schedule"
            ),
            Event::DynamicChanged(changes) => info!(
                added = listed(&changes.added),
                changed = listed(&changes.changed),
                removed = listed(&changes.removed),
                "dynamic entries changed"
            ),
            Event::DynamicUnreadable { error } => error!(
                error,
                "cannot read dynamic entries; keeping the previous ones"
            ),
            Event::DynamicUnacknowledged { error } => error!(
                error,
                "cannot acknowledge changes of dynamic entries; they are in force"
            ),
            Event::DynamicLeftOut { entry, why } => {
                info!(entry, reason = why, "dynamic entry left out");
            }
            Event::DynamicRejected { entry, mistakes } => error!(
                entry,
                errors = mistakes,
                "dynamic entry rejected; its previous version, if any, stays in force"
            ),
            Event::DynamicWarning { entry, warning } => {
                warn!(entry, warning, "warning about a dynamic entry");
            }
            Event::DynamicNotReported { entries } => warn!(
                entries,
                "more dynamic entries have errors or warnings, or are left out; not logged"
            ),
        }
    }
}

/// Logs the first warnings about schedule files, and the number of the others.
pub fn log_warnings(loaded: &Loaded) {
    let (shown, more) = loaded.shown_warnings();
    shown.for_each(log_mistake);
    if more > 0 {
        warn!(not_shown = more, "more warnings about schedule files");
    }
}

fn in_one_line(found: &Diagnostic) -> String {
    let file = found.places.first().map(Place::position);
    let (file, help) = (file.unwrap_or_default(), found.help());
    let help = help.map_or_else(String::new, |help| format!(" ({help})"));
    format!("{file}: {}{help}", found.message())
}

/// Logs an error or a warning in a schedule file.
fn log_mistake(found: &Diagnostic) {
    let file = found.places.first().map(Place::position);
    let (what, help) = (found.message(), found.help());
    if found.mistake.is_warning() {
        warn!(file, warning = what, help, "warning about a schedule file");
    } else {
        error!(file, error = what, help, "error in a schedule file");
    }
}

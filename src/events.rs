//! What happened: each event is one log line, and all of them are here.

mod clock;
mod records;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
pub use records::RecordEvent;
use records::listed;
use tracing::{debug, error, info, warn};

use crate::{
    config::{Diagnostic, Loaded, Mistakes, Place},
    core::{
        excerpt::excerpt,
        schedule::{Changes, entry::Entry, overlap::SkipReason},
    },
};

/// What became of a job, or of an entry.
#[derive(Debug)]
pub enum Event<'a> {
    /// A job of the schedule is in its queue.
    Fired {
        /// Whose fire it was.
        entry: &'a Entry,
        /// The instant it was meant for.
        fire_time: DateTime<Utc>,
        /// How long after that it was in its queue.
        lateness: TimeDelta,
    },
    /// Another scheduler, or we before a restart or a lost reply, had enqueued this fire.
    AlreadyFired {
        /// Whose fire it was.
        entry: &'a Entry,
        /// The instant it was meant for.
        fire_time: DateTime<Utc>,
    },
    /// A fire was skipped, by the entry's pile-up guard.
    Skipped {
        /// Whose fire.
        entry: &'a Entry,
        /// The instant it was meant for.
        fire_time: DateTime<Utc>,
        /// Why.
        reason: SkipReason,
        /// How many of the entry's fires were skipped since one was not, as far as this process
        /// knows; this one included.
        in_a_row: u32,
    },
    /// Fires were given up, by the entry's catch-up policy.
    Missed {
        /// Whose fires.
        entry: &'a Entry,
        /// The oldest of them.
        first: DateTime<Utc>,
        /// All up to here, inclusive.
        last: DateTime<Utc>,
    },
    /// A record of an entry is in the future: a clock was wrong, now or then. The entry does not fire
    /// before that time.
    AheadOfClock {
        /// Which.
        entry: &'a Entry,
        /// The time in the record.
        until: DateTime<Utc>,
        /// The Redis commands that correct its records, if the time is further than a leader's clock can be.
        correction: Option<&'a str>,
    },
    /// By Redis' clock a fire is too early: this host's clock is ahead. It is retried every second.
    FireTooEarly {
        /// Whose fire.
        entry: &'a Entry,
        /// The instant it was meant for.
        fire_time: DateTime<Utc>,
    },
    /// A queue can't take a job; it is tried again until its catch-up window is over.
    FireRejected {
        /// Whose fire.
        entry: &'a Entry,
        /// The instant it was meant for.
        fire_time: DateTime<Utc>,
        /// Redis' words.
        reason: &'a str,
    },
    /// A batch of delayed jobs is in their queues.
    Moved {
        /// How many jobs.
        jobs: usize,
        /// How long after its time the oldest of them was in its queue.
        lateness: TimeDelta,
    },
    /// A delayed item that can't be enqueued is in quarantine.
    Quarantined {
        /// The bucket it was in, without namespace.
        bucket: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// By Redis' clock a bucket is too early: this host's clock is ahead. It is retried every second.
    BucketTooEarly {
        /// The bucket, without namespace.
        bucket: &'a str,
    },
    /// A bucket can't be read, or what it holds can't be moved anywhere; it is left alone.
    BucketStuck {
        /// The bucket, without namespace.
        bucket: &'a str,
        /// Redis' words.
        reason: &'a str,
    },
    /// What other schedulers enqueued can't be read; our entries go on without it.
    StampsUnreadable {
        /// The key, and Redis' words.
        error: &'a str,
    },
    /// Where an entry stands, on request.
    EntryStatus {
        /// Which.
        entry: &'a Entry,
        /// Its last fire time that was enqueued.
        last_enqueued: Option<DateTime<Utc>>,
        /// What became of its last fire: `enqueued` or `skipped`.
        last_outcome: Option<&'static str>,
        /// Its next fire time.
        next: Option<DateTime<Utc>>,
    },
}

/// A change of what the scheduler itself is up to.
#[derive(Debug)]
pub enum Transition<'a> {
    /// We lead.
    TookLead {
        /// Our `hostname:pid`.
        holder: &'a str,
        /// How long, if it is not renewed.
        lease: Duration,
        /// The lock's key.
        lock: &'a str,
    },
    /// Another scheduler leads; we wait.
    Following {
        /// Its `hostname:pid`.
        holder: &'a str,
        /// The lock's key.
        lock: &'a str,
    },
    /// The leader's lock has no end, as if nobody renewed it.
    LockStuck {
        /// Whose it is, `hostname:pid`.
        holder: &'a str,
        /// The lock's key.
        lock: &'a str,
        /// How long it may stay unchanged before it is taken over.
        lease: Duration,
    },
    /// This host's clock is more than a second off Redis' clock.
    ClockSkew {
        /// How far it is ahead, at least; less than zero: behind.
        skew: TimeDelta,
    },
    /// This host's clock is so far off Redis' clock that this host must not lead.
    ClockTooFarOff {
        /// How far it is ahead, at least; less than zero: behind.
        skew: TimeDelta,
    },
    /// This host's clock agrees with Redis' clock again.
    ClockRight {
        /// How far it is ahead, at least; less than zero: behind.
        skew: TimeDelta,
    },
    /// How the scheduler is, on request.
    Status {
        /// Whether it leads.
        leading: bool,
        /// How many delayed items are in quarantine, if that is known.
        quarantined: Option<usize>,
        /// What is wrong.
        problems: &'a [String],
    },
    /// We go on leading.
    RenewedLead,
    /// We lead no more.
    LostLead {
        /// Why.
        reason: &'a str,
    },
    /// We gave the lease back.
    ReleasedLead,
    /// Entries can't be reported.
    NoReport {
        /// What was seen.
        error: &'a str,
    },
    /// A connection broke; it is opened again, and all is well if that does.
    ConnectionLost {
        /// What was seen.
        error: &'a str,
    },
    /// Redis cannot be used. Logged at the begin of an outage, and every minute.
    RedisLost {
        /// What Redis, or the connection, said.
        error: &'a str,
        /// How long the outage has lasted.
        lasting: Duration,
    },
    /// Redis can be used again.
    RedisBack,
    /// A new schedule is in force.
    Reloaded(&'a Changes),
    /// Dynamic entries were set or removed, and that is in force now.
    DynamicChanged(&'a Changes),
    /// The keys of dynamic entries can't be read or written; what is known of them goes on.
    DynamicUnreadable {
        /// The key, and Redis' words.
        error: &'a str,
    },
    /// A dynamic entry is not in force here.
    DynamicLeftOut {
        /// Its name.
        entry: &'a str,
        /// Why.
        why: &'a str,
    },
    /// A dynamic entry has mistakes; it goes on as it was before, if it was.
    DynamicRefused {
        /// Its name.
        entry: &'a str,
        /// All mistakes, with their paths in its JSON.
        mistakes: &'a str,
    },
    /// A dynamic entry says something in vain.
    DynamicWarning {
        /// Its name.
        entry: &'a str,
        /// What, with its path in its JSON.
        warning: &'a str,
    },
    /// There is something to say about more dynamic entries than are logged at a time.
    DynamicNotLogged {
        /// How many.
        entries: usize,
    },
    /// A new schedule has mistakes; the old one stays in force.
    ReloadRefused {
        /// All mistakes, with their places.
        report: &'a Mistakes,
    },
    /// Reading the schedule took too long; the old one stays in force.
    ReloadGivenUp {
        /// How long it may take.
        limit: Duration,
    },
    /// Too many reloads hang for another one.
    ReloadImpossible {
        /// How many.
        hanging: usize,
    },
}

impl Event<'_> {
    /// Writes its log line.
    pub fn emit(&self) {
        match self {
            Self::Fired {
                entry,
                fire_time,
                lateness,
            } => info!(
                entry = &*excerpt(&entry.name),
                class = &*excerpt(entry.job.class()),
                queue = &*excerpt(entry.job.queue()),
                fire_time = shown(*fire_time),
                lateness_ms = lateness.num_milliseconds(),
                "fired"
            ),
            Self::AlreadyFired { entry, fire_time } => {
                info!(
                    entry = &*excerpt(&entry.name),
                    fire_time = shown(*fire_time),
                    "already fired"
                );
            }
            Self::Skipped {
                entry,
                fire_time,
                reason,
                in_a_row,
            } => info!(
                entry = &*excerpt(&entry.name),
                queue = &*excerpt(entry.job.queue()),
                fire_time = shown(*fire_time),
                reason = reason.to_string(),
                in_a_row,
                "skipped"
            ),
            Self::Missed { entry, first, last } => warn!(
                entry = &*excerpt(&entry.name),
                first = shown(*first),
                last = shown(*last),
                "missed, not caught up with"
            ),
            Self::FireRejected {
                entry,
                fire_time,
                reason,
            } => error!(
                entry = &*excerpt(&entry.name),
                queue = &*excerpt(entry.job.queue()),
                fire_time = shown(*fire_time),
                reason,
                "queue refuses the job, will try again"
            ),
            Self::FireTooEarly { entry, fire_time } => error!(
                entry = &*excerpt(&entry.name),
                fire_time = shown(*fire_time),
                "fire is too early by Redis' clock; retrying every second"
            ),
            Self::BucketTooEarly { bucket } => error!(
                bucket,
                "delayed jobs are too early by Redis' clock; retrying every second"
            ),
            Self::Moved { jobs, lateness } => {
                let lateness_ms = lateness.num_milliseconds();
                info!(jobs, lateness_ms, "moved delayed jobs");
            }
            Self::Quarantined { bucket, reason } => {
                warn!(
                    bucket,
                    reason, "delayed job can't be enqueued, it is in quarantine"
                );
            }
            Self::BucketStuck { bucket, reason } => {
                error!(bucket, reason, "bucket is stuck, left alone");
            }
            Self::StampsUnreadable { error } => {
                error!(
                    error,
                    "can't see what other schedulers fired, goes on without it"
                );
            }
            Self::AheadOfClock {
                entry,
                until,
                correction,
            } => clock::log_ahead(entry, *until, *correction),
            Self::EntryStatus {
                entry,
                last_enqueued,
                last_outcome,
                next,
            } => info!(
                entry = &*excerpt(&entry.name),
                timing = &*excerpt(&entry.timing.to_string()),
                last_enqueued = last_enqueued.map(shown),
                last_outcome,
                next = next.map(shown),
                "entry"
            ),
        }
    }
}

impl Transition<'_> {
    /// Writes its log line.
    pub fn emit(&self) {
        match self {
            Self::TookLead {
                holder,
                lease,
                lock,
            } => info!(holder, lock, lease_s = lease.as_secs_f64(), "leading"),
            Self::Following { holder, lock } => {
                info!(leader = &*excerpt(holder), lock, "following");
            }
            Self::LockStuck {
                holder,
                lock,
                lease,
            } => warn!(
                leader = &*excerpt(holder),
                lock,
                lease_s = lease.as_secs_f64(),
                "the leader's lock has no end, it is taken over if it stays so for a lease"
            ),
            Self::ClockSkew { skew }
            | Self::ClockTooFarOff { skew }
            | Self::ClockRight { skew } => {
                clock::log_skew(self, skew.as_seconds_f64());
            }
            Self::Status {
                leading,
                quarantined,
                problems: [],
            } => info!(leading, quarantined, "healthy"),
            Self::Status {
                leading,
                quarantined,
                problems,
            } => {
                let problems = problems.join("; ");
                warn!(leading, problems, quarantined, "not healthy");
            }
            Self::RenewedLead => debug!("lease renewed"),
            Self::LostLead { reason } => warn!(reason, "not leading any more"),
            Self::ReleasedLead => info!("lease released"),
            Self::NoReport { error } => warn!(error, "can't tell where entries stand"),
            Self::ConnectionLost { error } => debug!(error, "connection lost, opens another"),
            Self::RedisLost { error, lasting } => {
                let lasting_s = lasting.as_secs();
                error!(error, lasting_s, "cannot use Redis; retrying");
            }
            Self::RedisBack => info!("Redis is back"),
            Self::Reloaded(changes) => info!(
                added = listed(&changes.added),
                changed = listed(&changes.changed),
                removed = listed(&changes.removed),
                "schedule reloaded"
            ),
            Self::DynamicChanged(changes) => info!(
                added = listed(&changes.added),
                changed = listed(&changes.changed),
                removed = listed(&changes.removed),
                "dynamic entries changed"
            ),
            Self::DynamicRefused { entry, mistakes } => {
                error!(
                    entry,
                    mistakes, "dynamic entry refused, goes on as it was before"
                );
            }
            Self::DynamicLeftOut { entry, why } => info!(entry, why, "dynamic entry left out"),
            Self::DynamicUnreadable { error } => {
                error!(
                    error,
                    "can't use the keys of dynamic entries, goes on with those that are known"
                );
            }
            Self::DynamicWarning { entry, warning } => {
                warn!(entry, warning, "warning about a dynamic entry");
            }
            Self::DynamicNotLogged { entries } => warn!(
                entries,
                "more dynamic entries have errors or warnings, or are left out; not logged"
            ),
            Self::ReloadRefused { report } => {
                let (shown, more) = report.shown();
                for found in shown {
                    log_mistake(found);
                }
                error!(
                    mistakes = report.mistakes().count(),
                    not_shown = more,
                    "reload refused, the schedule in force stays"
                );
            }
            Self::ReloadGivenUp { limit } => error!(
                limit_s = limit.as_secs(),
                "reload given up, the schedule in force stays: a schedule file cannot be read in time"
            ),
            Self::ReloadImpossible { hanging } => error!(
                hanging,
                "reload given up, the schedule in force stays: earlier reloads still hang"
            ),
        }
    }
}

/// Writes log lines for the first warnings about schedule files, and how many more there are.
pub fn log_warnings(loaded: &Loaded) {
    let (shown, more) = loaded.shown_warnings();
    shown.for_each(log_mistake);
    if more > 0 {
        warn!(not_shown = more, "more warnings about schedule files");
    }
}

/// Writes the log line of a mistake, or of a warning, in a schedule file.
fn log_mistake(found: &Diagnostic) {
    let file = found.places.first().map(Place::position);
    let (what, help) = (found.message(), found.help());
    if found.mistake.is_warning() {
        warn!(file, warning = what, help, "warning about a schedule file");
    } else {
        error!(file, error = what, help, "error in a schedule file");
    }
}

/// An instant as logs show it: RFC 3339, UTC, whole seconds.
fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

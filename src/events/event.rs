//! Everything that the engine reports.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    config::Mistakes,
    core::{
        firing::outcome::{Cause, Outcome},
        schedule::{Changes, entry::Entry, overlap::SkipReason},
    },
};

/// Something that happened in the engine.
#[derive(Debug)]
pub enum Event<'a> {
    // ─ fires ─
    /// The job of an entry was enqueued.
    Fired {
        /// The entry that fired.
        entry: &'a Entry,
        /// The fire time.
        fire_time: DateTime<Utc>,
        /// Whether it was on time or caught up.
        cause: Cause,
        /// Time between the moment when the fire was due and the enqueueing.
        lateness: TimeDelta,
    },
    /// The fire had already been enqueued by another scheduler, or by this one before a restart or a lost reply.
    AlreadyFired {
        /// The entry that had fired.
        entry: &'a Entry,
        /// The fire time.
        fire_time: DateTime<Utc>,
    },
    /// The entry's `overlap` or `max_queue_length` skipped a fire.
    Skipped {
        /// The entry that did not fire.
        entry: &'a Entry,
        /// The fire time.
        fire_time: DateTime<Utc>,
        /// The reason.
        reason: SkipReason,
        /// Number of fires of the entry in a row that were skipped, including this one, as far as this process
        /// knows.
        in_a_row: u32,
    },
    /// A fire was due while the entry, or every entry, was paused. Reported only for the first of several fires in
    /// a row.
    Paused {
        /// The entry that did not fire.
        entry: &'a Entry,
        /// The fire time.
        fire_time: DateTime<Utc>,
    },
    /// Missed fires were not enqueued, because the entry's catch-up policy does not allow it.
    Missed {
        /// The entry that did not fire.
        entry: &'a Entry,
        /// The oldest of the fire times.
        first: DateTime<Utc>,
        /// The newest of the fire times.
        last: DateTime<Utc>,
        /// The number of fire times. `None` if there are too many to count.
        count: Option<u32>,
    },
    /// A queue rejects the job of a fire. The fire is retried until its catch-up window is over.
    FireRejected {
        /// The entry that cannot fire.
        entry: &'a Entry,
        /// The fire time.
        fire_time: DateTime<Utc>,
        /// The error of Redis.
        reason: &'a str,
    },
    /// A fire is too early by Redis's clock, because this host's clock is ahead. The fire is retried every second.
    FireTooEarly {
        /// The entry that cannot fire yet.
        entry: &'a Entry,
        /// The fire time.
        fire_time: DateTime<Utc>,
    },

    // ─ entries and their records ─
    /// The status of an entry, on request.
    EntryStatus {
        /// The entry.
        entry: &'a Entry,
        /// The last fire time that was enqueued.
        last_enqueued: Option<DateTime<Utc>>,
        /// The outcome of the last fire, if the history has it.
        last_outcome: Option<Outcome>,
        /// The next fire time.
        next: Option<DateTime<Utc>>,
    },
    /// The status of entries was requested but cannot be read.
    EntryStatusUnknown {
        /// The error of the store.
        error: &'a str,
    },
    /// An entry's last fire is recorded for a time in the future. The entry waits until then.
    AheadOfClock {
        /// The entry that waits.
        entry: &'a Entry,
        /// The time in the record.
        until: DateTime<Utc>,
        /// Redis commands that correct the records, if the time is further in the future than a leader's clock can
        /// be.
        correction: Option<&'a str>,
    },
    /// Entries that have records are no longer in the schedule.
    EntriesLeft {
        /// Their names.
        entries: &'a [&'a str],
    },
    /// The records of entries that left the schedule a day ago were removed.
    EntriesForgotten {
        /// Their names.
        entries: &'a [String],
    },
    /// Redis has lost the last fire times of entries, but has other records of them.
    RecordsLost {
        /// The key that contained the last fire times.
        key: &'a str,
        /// The names of the entries.
        entries: &'a [&'a String],
    },
    /// Records of entries have contents that no scheduler can have written.
    RecordsIgnored {
        /// The key and the name of each record.
        records: &'a [String],
    },
    /// The timestamps that other schedulers wrote cannot be read. The entries continue without them.
    StampsUnreadable {
        /// The key and the error of Redis.
        error: &'a str,
    },

    // ─ delayed jobs ─
    /// A batch of delayed jobs was moved to their queues.
    DelayedMoved {
        /// Number of jobs that went to each queue.
        queues: &'a BTreeMap<String, usize>,
        /// Time between the moment when the oldest job was due and its move.
        lateness: TimeDelta,
    },
    /// A delayed item that cannot be enqueued was quarantined.
    DelayedQuarantined {
        /// The bucket that contained the item, without namespace.
        bucket: &'a str,
        /// The class in the item, if it can be read.
        class: Option<&'a str>,
        /// The queue in the item, if it can be read.
        queue: Option<&'a str>,
        /// The reason.
        reason: &'a str,
    },
    /// A bucket is too early by Redis's clock, because this host's clock is ahead. It is retried every second.
    BucketTooEarly {
        /// The bucket, without namespace.
        bucket: &'a str,
    },
    /// A bucket cannot be read, or its items can be moved neither to a queue nor to quarantine. The items stay in
    /// it.
    BucketStuck {
        /// The bucket, without namespace.
        bucket: &'a str,
        /// The error of Redis.
        reason: &'a str,
    },

    // ─ leadership ─
    /// This process took the lease and is now the leader.
    LeaseTaken {
        /// `hostname:pid` of this process.
        holder: &'a str,
        /// How long the lease lasts if it is not renewed.
        lease: Duration,
        /// The key of the lock.
        lock: &'a str,
    },
    /// The leader renewed the lease.
    LeaseRenewed,
    /// This process is no longer the leader.
    LeaseLost {
        /// The reason.
        reason: &'a str,
    },
    /// This process released the lease.
    LeaseReleased,
    /// Another scheduler is the leader. This process waits.
    Following {
        /// `hostname:pid` of the leader.
        holder: &'a str,
        /// The key of the lock.
        lock: &'a str,
    },
    /// The leader's lock has no TTL, so nobody renews it.
    LockStuck {
        /// `hostname:pid` of the leader.
        holder: &'a str,
        /// The key of the lock.
        lock: &'a str,
        /// How long the lock may stay unchanged before it is taken over.
        lease: Duration,
    },

    // ─ health: clocks, Redis ─
    /// The status of this process, on request.
    Status {
        /// Whether this process is the leader.
        leading: bool,
        /// `hostname:pid` of the leader, if another process is the leader.
        leader: Option<&'a str>,
        /// How long this process may act as the leader if the lease is not renewed.
        lease_left: Option<Duration>,
        /// Minimum by which this host's clock is ahead of Redis's. Negative if it is behind.
        skew: Option<TimeDelta>,
        /// Number of paused entries, if this process is the leader.
        paused: Option<usize>,
        /// The entry that fires next, and when, if this process is the leader.
        next: Option<(&'a str, DateTime<Utc>)>,
        /// Number of quarantine records, if it is known.
        quarantined: Option<usize>,
        /// Each problem.
        problems: &'a [String],
    },
    /// This host's clock differs from Redis's by more than a second.
    ClockSkewed {
        /// Minimum by which this host's clock is ahead. Negative if it is behind.
        skew: TimeDelta,
    },
    /// This host's clock differs from Redis's by so much that this process must not be the leader.
    ClockTooFarOff {
        /// Minimum by which this host's clock is ahead. Negative if it is behind.
        skew: TimeDelta,
    },
    /// This host's clock agrees with Redis's again.
    ClockRight {
        /// Minimum by which this host's clock is ahead. Negative if it is behind.
        skew: TimeDelta,
    },
    /// A connection broke. The scheduler opens another one; if that succeeds, there is no outage.
    ConnectionLost {
        /// The error of the connection.
        error: &'a str,
    },
    /// Redis cannot be used. Reported when an outage begins, and every minute while it lasts.
    RedisLost {
        /// The error of Redis, or of the connection.
        error: &'a str,
        /// How long the outage has lasted. Zero when it begins.
        lasting: Duration,
    },
    /// Redis can be used again.
    RedisBack,

    // ─ changes of the schedule ─
    /// A reload put a new schedule in force.
    Reloaded(&'a Changes),
    /// The new schedule has errors. The previous one stays in force.
    ReloadRejected {
        /// All errors, with their positions.
        report: &'a Mistakes,
    },
    /// Reading the schedule took too long. The previous one stays in force.
    ReloadGivenUp {
        /// The time limit.
        limit: Duration,
    },
    /// Too many earlier reloads still hang. The previous schedule stays in force.
    ReloadImpossible {
        /// Number of reloads that hang.
        hanging: usize,
    },
    /// Dynamic entries were set or removed, and the changes are in force.
    DynamicChanged(&'a Changes),
    /// The keys of dynamic entries cannot be read or written. The known dynamic entries stay in force.
    DynamicUnreadable {
        /// The key and the error of Redis.
        error: &'a str,
    },
    /// A dynamic entry is not in force in this process.
    DynamicLeftOut {
        /// Name of the entry.
        entry: &'a str,
        /// The reason.
        why: &'a str,
    },
    /// Changes of dynamic entries cannot be acknowledged. They are in force.
    DynamicUnacknowledged {
        /// The key, and Redis's words.
        error: &'a str,
    },
    /// A dynamic entry has errors. Its previous version stays in force, if there is one.
    DynamicRejected {
        /// Name of the entry.
        entry: &'a str,
        /// All errors, with their paths in the JSON of the entry.
        mistakes: &'a str,
    },
    /// There is a warning about a dynamic entry.
    DynamicWarning {
        /// Name of the entry.
        entry: &'a str,
        /// The warning, with its path in the JSON of the entry.
        warning: &'a str,
    },
    /// More dynamic entries than are logged one by one have errors or warnings, or are left out.
    DynamicNotReported {
        /// Number of entries that are not logged.
        entries: usize,
    },
}

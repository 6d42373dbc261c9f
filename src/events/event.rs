//! All that the engine reports.

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
        /// The instant that its timing names.
        fire_time: DateTime<Utc>,
        /// Whether it was on time or caught up.
        cause: Cause,
        /// How long after it was due the job was enqueued.
        lateness: TimeDelta,
    },
    /// Another scheduler, or this one before a restart or a lost reply, had enqueued this fire.
    AlreadyFired {
        /// The entry that had fired.
        entry: &'a Entry,
        /// The instant that its timing names.
        fire_time: DateTime<Utc>,
    },
    /// The entry's `overlap` or `max_queue_length` skipped a fire.
    Skipped {
        /// The entry that did not fire.
        entry: &'a Entry,
        /// The instant that its timing names.
        fire_time: DateTime<Utc>,
        /// Why.
        reason: SkipReason,
        /// How many fires of the entry were skipped one after the other, as far as this process
        /// knows; this fire included.
        in_a_row: u32,
    },
    /// A fire was due while the entry, or every entry, was paused. Only the first of several fires in a row is
    /// reported.
    Paused {
        /// The entry that did not fire.
        entry: &'a Entry,
        /// The fire time.
        fire_time: DateTime<Utc>,
    },
    /// The entry's catch-up policy dropped fires that were missed.
    Missed {
        /// The entry that did not fire.
        entry: &'a Entry,
        /// The oldest of the fire times.
        first: DateTime<Utc>,
        /// The newest of the fire times.
        last: DateTime<Utc>,
        /// The number of fire times; `None`: too many to count.
        count: Option<u32>,
    },
    /// A queue rejects the job of a fire; it is retried until its catch-up window is over.
    FireRejected {
        /// The entry that cannot fire.
        entry: &'a Entry,
        /// The instant that its timing names.
        fire_time: DateTime<Utc>,
        /// Redis' words.
        reason: &'a str,
    },
    /// A fire is too early by Redis' clock, because this host's clock is ahead. It is retried every second.
    FireTooEarly {
        /// The entry that cannot fire yet.
        entry: &'a Entry,
        /// The instant that its timing names.
        fire_time: DateTime<Utc>,
    },

    // ─ entries and their records ─
    /// The status of an entry, on request.
    EntryStatus {
        /// The entry.
        entry: &'a Entry,
        /// The last fire time that was enqueued.
        last_enqueued: Option<DateTime<Utc>>,
        /// What became of the last fire, if its history says so.
        last_outcome: Option<Outcome>,
        /// The next fire time.
        next: Option<DateTime<Utc>>,
    },
    /// The status of entries was requested and cannot be read.
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
        /// The Redis commands that correct its records, if the time is further than a leader's clock can be.
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
    /// Redis has lost the last fire times of entries, and has other records of them.
    RecordsLost {
        /// The key that had them.
        key: &'a str,
        /// The names of the entries.
        entries: &'a [&'a String],
    },
    /// Records of entries hold something that no scheduler can have written.
    RecordsIgnored {
        /// Key and name of each.
        records: &'a [String],
    },
    /// What other schedulers enqueued cannot be read; the entries continue without it.
    StampsUnreadable {
        /// The key, and Redis' words.
        error: &'a str,
    },

    // ─ delayed jobs ─
    /// A batch of delayed jobs was moved to their queues.
    DelayedMoved {
        /// How many jobs went to each queue.
        queues: &'a BTreeMap<String, usize>,
        /// How long after it was due the oldest of them was moved.
        lateness: TimeDelta,
    },
    /// A delayed item that cannot be enqueued was quarantined.
    DelayedQuarantined {
        /// The bucket it was in, without namespace.
        bucket: &'a str,
        /// The class that it names, if that can be read.
        class: Option<&'a str>,
        /// The queue that it names, if that can be read.
        queue: Option<&'a str>,
        /// Why.
        reason: &'a str,
    },
    /// A bucket is too early by Redis' clock, because this host's clock is ahead. It is retried every second.
    BucketTooEarly {
        /// The bucket, without namespace.
        bucket: &'a str,
    },
    /// A bucket cannot be read, or its items cannot be moved anywhere; they stay in it.
    BucketStuck {
        /// The bucket, without namespace.
        bucket: &'a str,
        /// Redis' words.
        reason: &'a str,
    },

    // ─ leadership ─
    /// This process took the lease: it is the leader.
    LeaseTaken {
        /// Its `hostname:pid`.
        holder: &'a str,
        /// How long the lease lasts if it is not renewed.
        lease: Duration,
        /// The lock's key.
        lock: &'a str,
    },
    /// The leader renewed the lease.
    LeaseRenewed,
    /// This process is not the leader any more.
    LeaseLost {
        /// Why.
        reason: &'a str,
    },
    /// This process released the lease.
    LeaseReleased,
    /// Another scheduler is the leader; this one waits.
    Following {
        /// The leader's `hostname:pid`.
        holder: &'a str,
        /// The lock's key.
        lock: &'a str,
    },
    /// The leader's lock has no TTL, so nobody renews it.
    LockStuck {
        /// The leader's `hostname:pid`.
        holder: &'a str,
        /// The lock's key.
        lock: &'a str,
        /// How long the lock may stay unchanged before it is taken over.
        lease: Duration,
    },

    // ─ health: clocks, Redis ─
    /// The status of this process, on request.
    Status {
        /// Whether it is the leader.
        leading: bool,
        /// Who leads, if another process does.
        leader: Option<&'a str>,
        /// How long the lease is trusted if it is not renewed.
        lease_left: Option<Duration>,
        /// How far this host's clock is ahead of Redis' clock, at least.
        skew: Option<TimeDelta>,
        /// How many entries are paused, if it is the leader.
        paused: Option<usize>,
        /// The entry that fires next, and when, if it is the leader.
        next: Option<(&'a str, DateTime<Utc>)>,
        /// How many delayed items are in quarantine, if that is known.
        quarantined: Option<usize>,
        /// Each problem.
        problems: &'a [String],
    },
    /// This host's clock differs from Redis' clock by more than a second.
    ClockSkewed {
        /// How far it is ahead, at least; less than zero: behind.
        skew: TimeDelta,
    },
    /// This host's clock differs from Redis' clock by so much that this host must not be the leader.
    ClockTooFarOff {
        /// How far it is ahead, at least; less than zero: behind.
        skew: TimeDelta,
    },
    /// This host's clock agrees with Redis' clock again.
    ClockRight {
        /// How far it is ahead, at least; less than zero: behind.
        skew: TimeDelta,
    },
    /// A connection broke. It is opened again, and if that succeeds, there is no outage.
    ConnectionLost {
        /// The error of the connection.
        error: &'a str,
    },
    /// Redis cannot be used. Reported when an outage begins, and every minute while it lasts.
    RedisLost {
        /// The error of Redis, or of the connection.
        error: &'a str,
        /// How long the outage has lasted; zero when it begins.
        lasting: Duration,
    },
    /// Redis can be used again.
    RedisBack,

    // ─ changes of the schedule ─
    /// A reload put a new schedule in force.
    Reloaded(&'a Changes),
    /// The new schedule has errors; the old one stays in force.
    ReloadRejected {
        /// All errors, with their places.
        report: &'a Mistakes,
    },
    /// Reading the schedule took too long; the old one stays in force.
    ReloadGivenUp {
        /// How long it may take.
        limit: Duration,
    },
    /// Too many earlier reloads still hang to begin another; the old schedule stays in force.
    ReloadImpossible {
        /// How many hang.
        hanging: usize,
    },
    /// Dynamic entries were set or removed, and the changes are in force.
    DynamicChanged(&'a Changes),
    /// The keys of dynamic entries cannot be read or written; the known dynamic entries stay in force.
    DynamicUnreadable {
        /// The key, and Redis' words.
        error: &'a str,
    },
    /// A dynamic entry is not in force in this process.
    DynamicLeftOut {
        /// Its name.
        entry: &'a str,
        /// Why.
        why: &'a str,
    },
    /// A dynamic entry has errors; its previous version stays in force, if there is one.
    DynamicRejected {
        /// Its name.
        entry: &'a str,
        /// All errors, with their paths in its JSON.
        mistakes: &'a str,
    },
    /// There is a warning about a dynamic entry.
    DynamicWarning {
        /// Its name.
        entry: &'a str,
        /// The warning, with its path in the JSON of the entry.
        warning: &'a str,
    },
    /// More dynamic entries than are reported one by one have errors or warnings, or are left out.
    DynamicNotReported {
        /// How many are not reported.
        entries: usize,
    },
}

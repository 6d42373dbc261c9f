//! Redis: the only floor that knows a key. One method for each thing that the floors above want
//! done; what must be atomic is one Lua script (`lua/`).

mod active_job;
mod address;
mod client;
mod connection;
mod error;
mod fires;
mod keys;
mod link;
mod moves;
mod private_server;
mod redis_store;
mod rights;
mod schedules;
mod scripts;
mod tls;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};

use crate::core::schedule::overlap::Guard;
pub use crate::store::{
    active_job::ActiveJob,
    address::{Address, Credentials},
    client::{Client, ClientError},
    error::StoreError,
    keys::Keys,
    private_server::{Listen, PrivateServer, free_port},
    redis_store::RedisStore,
    scripts::{FireOutcome, MoveOutcome},
};

/// Who we are in the leader's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The lock's value, `hostname:pid`, as resque-scheduler writes it.
    pub holder: String,
    /// Different for each process that ever was.
    pub token: String,
}

/// The answer to a try for the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// Ours as before, for its whole length from now.
    Renewed,
    /// Ours now, for its whole length; it was not before, so that others may have acted.
    Taken,
    /// Another scheduler's.
    HeldBy {
        /// Its `hostname:pid`.
        holder: String,
        /// How long its lease has left; `None`: for ever.
        remaining: Option<Duration>,
    },
}

/// What stands in Redis about entries, by name.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// When each was first seen, and with which timing (its
    /// [`crate::core::time::timing::Timing::identity`]; many entries have the same).
    pub seen: HashMap<String, (DateTime<Utc>, Arc<str>)>,
    /// The last fire time of each.
    pub fired: HashMap<String, DateTime<Utc>>,
    /// How many fires each had since it was first seen, where that is limited.
    pub fires: HashMap<String, u32>,
    /// When each was out of the schedule, if it ever was.
    pub away: HashMap<String, Away>,
    /// When each was last enqueued by someone else, since we did: by a Ruby scheduler that led.
    pub enqueued_elsewhere: HashMap<String, DateTime<Utc>>,
    /// Key and name of records that no scheduler can have written, as a time after 2199. They are not among the
    /// others. Only the first ones are here.
    pub ignored: Vec<String>,
    /// Why the times of a Ruby scheduler are not known, if they are not; the rest is.
    pub unreadable: Option<StoreError>,
}

/// A record of an entry that is a time; while it is in the future, the entry does not fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeRecord {
    /// [`Records::fired`].
    LastFire,
    /// [`Records::enqueued_elsewhere`].
    EnqueuedElsewhere,
    /// [`Records::seen`].
    FirstSeen,
}

impl Records {
    /// Takes what `newer` has in place of what is known of the same entries.
    pub fn extend(&mut self, newer: Self) {
        self.seen.extend(newer.seen);
        self.fired.extend(newer.fired);
        self.fires.extend(newer.fires);
        self.away.extend(newer.away);
        self.enqueued_elsewhere.extend(newer.enqueued_elsewhere);
        self.unreadable = newer.unreadable.or(self.unreadable.take());
    }
}

/// A change of what is recorded of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordChange {
    /// The entry is seen for the first time with this timing. Nothing changes if it is recorded with it.
    First {
        /// The entry's name.
        name: String,
        /// Its [`crate::core::time::timing::Timing::identity`].
        timing: String,
    },
    /// Another text identifies the same timing. Nothing changes if the record is not the given one.
    Reworded {
        /// The entry's name.
        name: String,
        /// When it was first seen.
        first_seen: DateTime<Utc>,
        /// The text that is recorded.
        old: String,
        /// The text that replaces it.
        new: String,
    },
    /// The entry left the schedule. Nothing changes if the record is not the given one.
    Left {
        /// The entry's name.
        name: String,
        /// What is recorded of it.
        was: Option<Away>,
    },
    /// The entry returned to the schedule. Nothing changes if the record is not the given one.
    Returned {
        /// The entry's name.
        name: String,
        /// Since when it was out of the schedule.
        since: DateTime<Utc>,
    },
}

impl RecordChange {
    /// Returns the name of the entry.
    pub fn name(&self) -> &str {
        match self {
            Self::First { name, .. }
            | Self::Reworded { name, .. }
            | Self::Left { name, .. }
            | Self::Returned { name, .. } => name,
        }
    }
}

/// When an entry was out of the schedule the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away {
    /// When a leader first saw that it was not in the schedule.
    pub since: DateTime<Utc>,
    /// When it was in the schedule again; `None`: it is not.
    pub until: Option<DateTime<Utc>>,
}

/// One fire, to be enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fire<'a> {
    /// The entry's name.
    pub name: &'a str,
    /// How many fires the entry may have since it was first seen.
    pub times: Option<u32>,
    /// The instant it is meant for.
    pub fire_time: DateTime<Utc>,
    /// The queue's name.
    pub queue: &'a str,
    /// What is pushed.
    pub payload: std::borrow::Cow<'a, str>,
    /// When it is skipped.
    pub guard: Guard,
    /// What identical payloads have in common with this one, where that is not all of it
    /// ([`crate::core::job::Job::pattern`]); only looked at where the guard allows no overlap.
    pub pattern: Option<Vec<String>>,
}

/// A due bucket, or as much of it as fits into a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its member in the sorted set, byte for byte: Unix seconds, if a well-behaved app wrote it.
    pub member: Vec<u8>,
    /// When it was due: the time that its member tells, or now if that is none, or later.
    pub due: DateTime<Utc>,
    /// Items from its head, oldest first.
    pub items: Vec<Vec<u8>>,
}

/// What is due: buckets by time, and those that can't be read with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// As many as fit into a batch.
    pub buckets: Vec<Bucket>,
    /// Their members in the sorted set, and Redis' words.
    pub unreadable: Vec<(Vec<u8>, String)>,
    /// Members whose next item is too large to be read, and its bytes. What is before it is in
    /// [`Self::buckets`], or was before.
    pub too_large: Vec<(Vec<u8>, usize)>,
    /// The last bucket that was read; `None`: nothing is due.
    pub last: Option<Place>,
    /// Whether the batch is full: there may be more behind it.
    pub full: bool,
}

/// A place among the due buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A score, as Redis writes it.
    pub score: String,
    /// How many members of that score are before it.
    pub before: usize,
    /// The member there.
    pub member: Vec<u8>,
    /// How many items at the head of its bucket are before it.
    pub items: usize,
}

/// What is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a delayed item that is read.
    pub item: usize,
    /// Records in quarantine.
    pub quarantine: usize,
    /// How far this host's clock may be off Redis' clock; any distance if `None`.
    pub clock_skew: Option<TimeDelta>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            item: 16 << 20,
            quarantine: 10_000,
            clock_skew: None,
        }
    }
}

/// Where a delayed item goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To its queue.
    Queue {
        /// The queue's name.
        name: String,
        /// What is pushed.
        payload: String,
    },
    /// To quarantine, whole.
    Quarantine {
        /// Why.
        reason: String,
        /// When.
        at: DateTime<Utc>,
    },
}

/// How much of the delayed jobs is handled in one call.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimit {
    /// Items and buckets, each counted: to move a bucket takes as long as an item in it.
    pub count: usize,
    /// Bytes of items.
    pub bytes: usize,
}

/// Redis, as the engine sees it: [`RedisStore`], or a model of it.
///
/// Every call fails with [`StoreError`]; after `Unavailable` it may have been done or not. Trying
/// again is safe: each is atomic, and done twice it is as if it were done once.
pub trait Store: Send + Sync + 'static {
    /// The same on a connection of its own for all that changes anything but the lease, or may be large.
    /// Each loop has one, so that a renewal never waits behind a large batch, and so that whoever acts on
    /// a new connection has seen the old one fail.
    #[must_use]
    fn apart(&self) -> Self;

    /// Host, port and database, without password.
    fn server(&self) -> &str;

    /// Our name in the leader's lock.
    fn holder(&self) -> &str;

    /// The key of the leader's lock.
    fn lock(&self) -> String;

    /// How far this host's clock may be off Redis' clock. Whatever the host believes, nothing that is due
    /// later than this after Redis' now is enqueued. `None`: any distance.
    fn max_clock_skew(&self) -> Option<TimeDelta>;

    /// The Redis command after which this record of `entry` is not later than `now`.
    fn correction(&self, record: TimeRecord, entry: &str, now: DateTime<Utc>) -> String;

    /// Asks what Redis' clock shows.
    fn time(&self) -> impl Future<Output = Result<DateTime<Utc>, StoreError>> + Send;

    /// Takes the lease for `length` if it is free, or renews it if it is ours. A lock without an end
    /// is taken from `stuck_holder`. Returns Redis' clock, too.
    fn take_lease(
        &self,
        length: Duration,
        stuck_holder: Option<&str>,
    ) -> impl Future<Output = Result<(Lease, DateTime<Utc>), StoreError>> + Send;

    /// Gives the lease back if it is ours, and wakes a follower. `false`: it was not ours.
    fn release_lease(&self) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Waits until a leader releases its lease, for at most `timeout` (a second or less).
    fn wait_for_handover(
        &self,
        timeout: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All that is known of entries.
    fn records(&self) -> impl Future<Output = Result<Records, StoreError>> + Send;

    /// All that is known of the entries of these names.
    fn records_of(
        &self,
        names: &[String],
    ) -> impl Future<Output = Result<Records, StoreError>> + Send;

    /// The fire time of each entry, by name, that was enqueued last by a scheduler of ours. Fires that were
    /// skipped are none of them.
    fn last_enqueued(
        &self,
    ) -> impl Future<Output = Result<HashMap<String, DateTime<Utc>>, StoreError>> + Send;

    /// Changes the records of entries as of `now`. `false`: the lease is lost, nothing was done.
    fn change_records(
        &self,
        changes: &[RecordChange],
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes all records of entries, each given by its name and since when it is out of the schedule. Returns
    /// the names of those that are still out of it since then; `None`: the lease is lost, nothing was done.
    fn forget(
        &self,
        entries: &[(String, DateTime<Utc>)],
    ) -> impl Future<Output = Result<Option<Vec<String>>, StoreError>> + Send;

    /// Names of dynamic entries that were set or removed, and are not settled.
    fn changed_entries(&self) -> impl Future<Output = Result<Vec<Vec<u8>>, StoreError>> + Send;

    /// All dynamic entries: the JSON of each, by name.
    fn dynamic_entries(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError>> + Send;

    /// The JSON of the dynamic entries of these names that there are, by name.
    fn dynamic_entries_of(
        &self,
        names: &[Vec<u8>],
    ) -> impl Future<Output = Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError>> + Send;

    /// Settles `changes`, each a name and its JSON that is in force, or empty where it is removed. One
    /// that was changed again stays. `false`: the lease is lost, nothing was done.
    fn settle_changes(
        &self,
        changes: &[(Vec<u8>, Vec<u8>)],
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Enqueues fires, each judged by itself against the fence and its guard, each once (docs/design.md, law 1).
    /// The outcomes are in the order of `fires`; `None`: the lease is lost, nothing was done.
    ///
    /// `now` is stamped on the entries for resque-web, in the clocks that it shows.
    fn fire(
        &self,
        fires: &[Fire<'_>],
        now: DateTime<FixedOffset>,
    ) -> impl Future<Output = Result<Option<Vec<FireOutcome>>, StoreError>> + Send;

    /// Whether a bucket at `from` or behind it is due at `now` (whole seconds); mostly there is none, and
    /// this asks for little.
    fn is_any_due(
        &self,
        now: DateTime<Utc>,
        from: Option<&Place>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The oldest buckets that are due at `now` (whole seconds), and their items; only what is at `from` or
    /// behind it. `None`: the lease is lost.
    fn due(
        &self,
        now: DateTime<Utc>,
        limit: BatchLimit,
        from: Option<&Place>,
    ) -> impl Future<Output = Result<Option<Due>, StoreError>> + Send;

    /// Moves the items of `buckets` to the `targets` (as many, in the same order), and removes the
    /// buckets that are empty then (docs/design.md, law 2).
    /// The outcomes are in the order of `targets`; `None`: the lease is lost, nothing was done.
    fn move_batch(
        &self,
        buckets: &[Bucket],
        targets: &[Target],
    ) -> impl Future<Output = Result<Option<Vec<MoveOutcome>>, StoreError>> + Send;

    /// Moves the item at the head of the bucket `member` to quarantine if it is too large to be read,
    /// without reading it. [`MoveOutcome::Left`]: it is not. `None`: the lease is lost, nothing was done.
    fn set_aside(
        &self,
        member: &[u8],
        reason: &str,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<Option<MoveOutcome>, StoreError>> + Send;

    /// How many records are in quarantine.
    fn quarantined(&self) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Whether the key of a queue is one that takes jobs: a list, or nothing yet.
    fn takes_jobs(&self, queue: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

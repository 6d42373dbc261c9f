//! What the loops want done: the trait [`Store`], and what it takes and answers.

pub(super) mod delayed;
pub(super) mod digest;
pub(super) mod entries;
pub(super) mod fires;
pub(super) mod lease;
pub(super) mod records;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};

use crate::core::firing::outcome::Outcome;
use crate::store::{
    console::events::EventRecord,
    error::StoreError,
    port::{
        delayed::{BatchLimit, Bucket, Destination, Due, MoveOutcome, Place},
        entries::{Publication, PublishedPage},
        fires::{Fire, FireOutcome, Missed, MissedOutcome},
        lease::{Heartbeat, Lease},
        records::{RecordChange, Records, TimeRecord},
    },
};

/// Redis, as the engine sees it: [`crate::store::RedisStore`], or a model of it.
///
/// Every call fails with [`StoreError`]; after `Unavailable` it may have been done or not. Trying
/// again is safe: each is atomic, and done twice it is as if it were done once.
pub trait Store: Send + Sync + 'static {
    /// The same on a connection of its own for all that changes anything but the lease, or may be large.
    /// Each loop has one, so that a renewal never waits behind a large batch, and so that whoever acts on
    /// a new connection has seen the old one fail.
    #[must_use]
    fn with_own_connection(&self) -> Self;

    /// Host, port and database, without password.
    fn server(&self) -> &str;

    /// Our name in the leader's lock.
    fn holder(&self) -> &str;

    /// The key of the leader's lock.
    fn lock(&self) -> String;

    /// The key of the fence, which has the last fire time of each entry.
    fn fence(&self) -> String;

    /// The key of the entries in force.
    fn entries(&self) -> String;

    /// How far this host's clock may be off Redis' clock. Whatever the host believes, nothing that is due
    /// later than this after Redis' now is enqueued. `None`: any distance.
    fn max_clock_skew(&self) -> Option<TimeDelta>;

    /// The Redis command after which this record of `entry` is not later than `now`.
    fn correction(&self, record: TimeRecord, entry: &str, now: DateTime<Utc>) -> String;

    /// Asks what Redis' clock shows, and says that we are there if there is a heartbeat.
    fn time(
        &self,
        heartbeat: Option<Heartbeat<'_>>,
    ) -> impl Future<Output = Result<DateTime<Utc>, StoreError>> + Send;

    /// Takes the lease for `length` if it is free, or renews it if it is ours. A lock without an end
    /// is taken from `stuck_holder`. Says that we are there if there is a heartbeat. Returns Redis' clock, too.
    fn take_lease(
        &self,
        length: Duration,
        stuck_holder: Option<&str>,
        heartbeat: Option<Heartbeat<'_>>,
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

    /// What became of the last fire of each of these entries, by name, where its history says so.
    fn last_outcomes(
        &self,
        names: &[String],
    ) -> impl Future<Output = Result<HashMap<String, Outcome>, StoreError>> + Send;

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

    /// All dynamic entries: the [`digest`](digest::digest) of the JSON of each, by name.
    fn dynamic_names(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<Vec<u8>, String>, StoreError>> + Send;

    /// The JSON of the dynamic entries of these names that there are, by name, in one reply.
    fn dynamic_entries_of(
        &self,
        names: &[Vec<u8>],
    ) -> impl Future<Output = Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError>> + Send;

    /// Settles `changes`, each a name and its JSON that is in force, or empty where it is removed. One
    /// that was changed again stays. `false`: the lease is lost, nothing was done.
    fn ack_changes(
        &self,
        changes: &[(Vec<u8>, Vec<u8>)],
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The page of published entries that begins at `from`; `None`: the first one.
    fn published(
        &self,
        from: Option<&str>,
    ) -> impl Future<Output = Result<PublishedPage, StoreError>> + Send;

    /// Changes which entries are published. `false`: the lease is lost, nothing was done.
    fn publish(
        &self,
        publications: &[Publication],
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Enqueues fires, each judged by itself against the fence and its guard, each once (docs/design.md, law 1).
    /// The outcomes are in the order of `fires`; `None`: the lease is lost, nothing was done.
    ///
    /// `now` is stamped on the entries for resque-web, in the clocks that it shows. What became of each fire is
    /// recorded in its entry's history in the same step.
    fn fire(
        &self,
        fires: &[Fire<'_>],
        now: DateTime<FixedOffset>,
    ) -> impl Future<Output = Result<Option<Vec<FireOutcome>>, StoreError>> + Send;

    /// Records in the histories of entries, as of `now`, which of their fires were given up. The outcomes are in
    /// the order of `missed`; `None`: the lease is lost, nothing was done.
    fn note_missed(
        &self,
        missed: &[Missed<'_>],
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<Option<Vec<MissedOutcome>>, StoreError>> + Send;

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

    /// The buckets with lower scores than `place`, oldest first: after the first `skip` ones, at most `count`. Of
    /// each its member in the sorted set, and its score as Redis writes it.
    fn before(
        &self,
        place: &Place,
        skip: usize,
        count: usize,
    ) -> impl Future<Output = Result<Vec<(Vec<u8>, String)>, StoreError>> + Send;

    /// Moves the items of `buckets` to the `targets` (as many, in the same order), and removes the
    /// buckets that are empty then (docs/design.md, law 2).
    /// The outcomes are in the order of `targets`; `None`: the lease is lost, nothing was done.
    fn move_batch(
        &self,
        buckets: &[Bucket],
        targets: &[Destination],
    ) -> impl Future<Output = Result<Option<Vec<MoveOutcome>>, StoreError>> + Send;

    /// Moves an item of the bucket `member` to quarantine if it is too large to be read, without reading it; so
    /// many items stand before it. [`MoveOutcome::Left`]: it is not. `None`: the lease is lost, nothing was done.
    fn set_aside(
        &self,
        member: &[u8],
        before: usize,
        reason: &str,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<Option<MoveOutcome>, StoreError>> + Send;

    /// Adds events, oldest first, to those that Redis keeps: the newest 1,000.
    fn note_events(
        &self,
        events: &[EventRecord],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The key of these events.
    fn events(&self) -> String;

    /// How many records are in quarantine.
    fn quarantined(&self) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Whether each of `queues` (in the same order) takes jobs: we may write its key, and that is a list, or
    /// nothing yet.
    fn take_jobs(
        &self,
        queues: &[&str],
    ) -> impl Future<Output = Result<Vec<bool>, StoreError>> + Send;
}

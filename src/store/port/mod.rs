//! The store as the engine sees it: the trait [`Store`], its arguments and its results.

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

/// Redis as the engine sees it: [`crate::store::RedisStore`], or a model of it in tests.
///
/// Every call is atomic. It fails with [`StoreError`]; after [`StoreError::Unavailable`], it may or may not have
/// been done. Repeating it is safe, because doing it twice has the same effect as doing it once.
pub trait Store: Send + Sync + 'static {
    /// Returns the same store with its own connection for large calls and for all changes except of the lease.
    ///
    /// Each loop has its own. A renewal of the lease therefore never waits behind a large batch, and a loop that
    /// uses a new connection has itself seen the old one fail.
    #[must_use]
    fn with_own_connection(&self) -> Self;

    /// Returns host, port and database, without the password.
    fn server(&self) -> &str;

    /// Returns the name of this process in the leader's lock, `hostname:pid`.
    fn holder(&self) -> &str;

    /// Returns the key of the leader's lock.
    fn lock(&self) -> String;

    /// Returns the key of the fence, which has the last fire time of each entry.
    fn fence(&self) -> String;

    /// Returns the key of the entries in force.
    fn entries(&self) -> String;

    /// Returns the maximum difference between this host's clock and Redis' clock; `None`: any.
    ///
    /// A job that is due later than this, counted from the time of Redis' clock, is not enqueued, whatever this
    /// host's clock shows.
    fn max_clock_skew(&self) -> Option<TimeDelta>;

    /// Returns the Redis command that sets this record of `entry` to `now` or removes it.
    fn correction(&self, record: TimeRecord, entry: &str, now: DateTime<Utc>) -> String;

    /// Returns the time of Redis' clock. Publishes the heartbeat, if there is one.
    fn time(
        &self,
        heartbeat: Option<Heartbeat<'_>>,
    ) -> impl Future<Output = Result<DateTime<Utc>, StoreError>> + Send;

    /// Takes the lease for `length` if it is free, or renews it if we hold it. Also returns the time of Redis'
    /// clock.
    ///
    /// Takes a lock without a TTL away from `stuck_holder`. Publishes the heartbeat, if there is one.
    fn take_lease(
        &self,
        length: Duration,
        stuck_holder: Option<&str>,
        heartbeat: Option<Heartbeat<'_>>,
    ) -> impl Future<Output = Result<(Lease, DateTime<Utc>), StoreError>> + Send;

    /// Releases the lease and wakes a follower. Returns `false` if we did not hold it.
    fn release_lease(&self) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Waits until a leader releases its lease, for `timeout` (a second at most).
    fn wait_for_handover(
        &self,
        timeout: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads the records of all entries.
    fn records(&self) -> impl Future<Output = Result<Records, StoreError>> + Send;

    /// Reads the records of the entries with these names.
    fn records_of(
        &self,
        names: &[String],
    ) -> impl Future<Output = Result<Records, StoreError>> + Send;

    /// Returns the last fire time of each entry, by name, that a scheduler of ours enqueued. Skipped fires do not
    /// count.
    fn last_enqueued(
        &self,
    ) -> impl Future<Output = Result<HashMap<String, DateTime<Utc>>, StoreError>> + Send;

    /// Returns the outcome of the last fire of each of these entries, by name, if its history has one.
    fn last_outcomes(
        &self,
        names: &[String],
    ) -> impl Future<Output = Result<HashMap<String, Outcome>, StoreError>> + Send;

    /// Changes records of entries as of `now`. `false`: we do not hold the lease, and nothing was done.
    fn change_records(
        &self,
        changes: &[RecordChange],
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes all records of entries. Each is given by its name and the time since when it is not in the
    /// schedule.
    ///
    /// Returns the names of the entries that were removed: those that had not returned in the meantime. `None`: we
    /// do not hold the lease, and nothing was done.
    fn forget(
        &self,
        entries: &[(String, DateTime<Utc>)],
    ) -> impl Future<Output = Result<Option<Vec<String>>, StoreError>> + Send;

    /// Returns the names of dynamic entries that were set or removed and are not yet acknowledged.
    fn changed_entries(&self) -> impl Future<Output = Result<Vec<Vec<u8>>, StoreError>> + Send;

    /// Returns the [`digest`](digest::digest) of the JSON of each dynamic entry, by name.
    fn dynamic_names(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<Vec<u8>, String>, StoreError>> + Send;

    /// Returns the JSON of the dynamic entries with these names, by name, in one reply. Names without an entry are
    /// left out.
    fn dynamic_entries_of(
        &self,
        names: &[Vec<u8>],
    ) -> impl Future<Output = Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError>> + Send;

    /// Acknowledges changes of dynamic entries: each is a name and the JSON in force, empty if the entry is
    /// removed.
    ///
    /// A change is not acknowledged if the entry was changed again. `false`: we do not hold the lease, and nothing
    /// was done.
    fn ack_changes(
        &self,
        changes: &[(Vec<u8>, Vec<u8>)],
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns the page of published entries that begins at `from`; `None`: the first page.
    fn published(
        &self,
        from: Option<&str>,
    ) -> impl Future<Output = Result<PublishedPage, StoreError>> + Send;

    /// Changes the published entries. `false`: we do not hold the lease, and nothing was done.
    fn publish(
        &self,
        publications: &[Publication],
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Enqueues fires, each at most once (docs/design.md, law 1).
    ///
    /// The fence and its guard decide about each fire separately. The outcomes are in the order of `fires`;
    /// `None`: we do not hold the lease, and nothing was done. The same step records each outcome in the entry's
    /// history. `now` is written to `last_enqueued_at`, which resque-web shows, in its own UTC offset.
    fn fire(
        &self,
        fires: &[Fire<'_>],
        now: DateTime<FixedOffset>,
    ) -> impl Future<Output = Result<Option<Vec<FireOutcome>>, StoreError>> + Send;

    /// Records missed fires in the histories of their entries, as of `now`.
    ///
    /// The outcomes are in the order of `missed`; `None`: we do not hold the lease, and nothing was done.
    fn note_missed(
        &self,
        missed: &[Missed<'_>],
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<Option<Vec<MissedOutcome>>, StoreError>> + Send;

    /// Whether a bucket at `from` or after it is due at `now` (whole seconds).
    ///
    /// The answer is usually no, and the check is cheap.
    fn is_any_due(
        &self,
        now: DateTime<Utc>,
        from: Option<&Place>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns the oldest buckets that are due at `now` (whole seconds) with their items, starting at `from`.
    ///
    /// `None`: we do not hold the lease.
    fn due(
        &self,
        now: DateTime<Utc>,
        limit: BatchLimit,
        from: Option<&Place>,
    ) -> impl Future<Output = Result<Option<Due>, StoreError>> + Send;

    /// Returns buckets with lower scores than `place`, oldest first: `count` at most, after the first `skip`.
    ///
    /// Each is a member of the sorted set and its score as Redis writes it.
    fn before(
        &self,
        place: &Place,
        skip: usize,
        count: usize,
    ) -> impl Future<Output = Result<Vec<(Vec<u8>, String)>, StoreError>> + Send;

    /// Moves the items of `buckets` to `targets`, and removes buckets that are then empty (docs/design.md, law 2).
    ///
    /// There is one target per item, in the same order, and so are the outcomes. `None`: we do not hold the lease,
    /// and nothing was done.
    fn move_batch(
        &self,
        buckets: &[Bucket],
        targets: &[Destination],
    ) -> impl Future<Output = Result<Option<Vec<MoveOutcome>>, StoreError>> + Send;

    /// Moves an item of the bucket `member` to quarantine without reading it, if it is too large to read.
    ///
    /// `before` is the number of items before it in the bucket. [`MoveOutcome::Left`]: it is not too large, or
    /// there is none. `None`: we do not hold the lease, and nothing was done.
    fn set_aside(
        &self,
        member: &[u8],
        before: usize,
        reason: &str,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<Option<MoveOutcome>, StoreError>> + Send;

    /// Adds events, oldest first. Redis keeps the newest 1,000.
    fn note_events(
        &self,
        events: &[EventRecord],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns the key of the events.
    fn events(&self) -> String;

    /// Returns the number of records in the quarantine.
    fn quarantined(&self) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Whether each of `queues` accepts jobs, in the same order: we may write its key, and it is a list or does
    /// not exist.
    fn take_jobs(
        &self,
        queues: &[&str],
    ) -> impl Future<Output = Result<Vec<bool>, StoreError>> + Send;
}

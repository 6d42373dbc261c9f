//! The store that calls Redis. Every change except to the list of events is one atomic script.

mod delayed;
mod entries;
mod records;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use redis::Cmd;

use crate::core::firing::outcome::Outcome;
use crate::store::{
    address::Address,
    connection::Connection,
    console::events::{EVENTS, EventRecord},
    error::StoreError,
    keys::Keys,
    limits::Limits,
    port::{
        Store,
        delayed::{BatchLimit, Bucket, Destination, Due, MoveOutcome, Place},
        entries::{Publication, PublishedPage},
        fires::{Fire, FireOutcome, Missed, MissedOutcome},
        lease::{Heartbeat, Identity, Lease},
        records::{RecordChange, Records, TimeRecord},
    },
    scripts::{
        ack_changes, aside, fire,
        lease::{self, LeaseReply},
        missed, probe, release,
        time::{self, TimeReply},
    },
};

/// A Redis, under one namespace.
pub struct RedisStore {
    /// For large calls, and for all changes except of the lease. Each loop has its own.
    connection: Connection,
    /// For small, frequent calls: the lease, and whether anything is due. All loops share it, so calls of the same
    /// moment share a round trip, and all reach the server that holds the lease.
    lease_link: Connection,
    /// For the call that blocks until a leader releases its lease.
    handover: Connection,
    keys: Keys,
    identity: Identity,
    limits: Limits,
}

impl RedisStore {
    /// Creates a store at `address` that acts as `identity`. Sends nothing yet.
    ///
    /// # Errors
    /// [`StoreError::NoHashTag`].
    pub fn open(address: &Address, keys: Keys, identity: Identity) -> Result<Self, StoreError> {
        address.check_namespace(&keys)?;
        Ok(Self {
            connection: Connection::open(address),
            lease_link: Connection::open(address),
            handover: Connection::open(address),
            keys,
            identity,
            limits: Limits::default(),
        })
    }

    /// Returns the same store with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Reopens the connection if `answer` is `None`: the server reports that we do not hold the lease.
    ///
    /// We may hold it on another server. After a failover, the connection may still lead to the old master.
    async fn reconnect_if_lost<T>(&self, answer: Option<T>) -> Option<T> {
        if answer.is_none() {
            self.connection.reopen().await;
        }
        answer
    }

    /// Returns a connection for a small call: the shared one, unless it would have to be opened, which delays the
    /// lease.
    fn small(&self) -> &Connection {
        if self.lease_link.is_open() {
            &self.lease_link
        } else {
            &self.connection
        }
    }

    async fn length_of_list(&self, key: &str) -> Result<usize, StoreError> {
        self.small().command(&Cmd::llen(key), key).await
    }
}

impl Store for RedisStore {
    fn with_own_connection(&self) -> Self {
        Self {
            connection: self.connection.another(),
            lease_link: self.lease_link.clone(),
            handover: self.handover.another(),
            keys: self.keys.clone(),
            identity: self.identity.clone(),
            limits: self.limits,
        }
    }

    fn server(&self) -> &str {
        self.connection.server()
    }

    fn holder(&self) -> &str {
        &self.identity.holder
    }

    fn lock(&self) -> String {
        self.keys.lock()
    }

    fn fence(&self) -> String {
        self.keys.fired()
    }

    fn entries(&self) -> String {
        self.keys.entries()
    }

    fn max_clock_skew(&self) -> Option<TimeDelta> {
        self.limits.clock_skew
    }

    fn correction(&self, record: TimeRecord, entry: &str, now: DateTime<Utc>) -> String {
        match record {
            // Sets the fence instead of removing it: without it, missed fires would be caught up, and they may
            // have fired already.
            TimeRecord::LastFire => {
                format!("HSET {} {entry:?} {}", self.keys.fired(), now.timestamp())
            }
            TimeRecord::EnqueuedElsewhere => {
                format!("HDEL {} {entry:?}", self.keys.last_enqueued_at())
            }
            TimeRecord::FirstSeen => format!("HDEL {} {entry:?}", self.keys.seen()),
        }
    }

    async fn time(&self, heartbeat: Option<Heartbeat<'_>>) -> Result<DateTime<Utc>, StoreError> {
        let call = time::call(&self.keys, &self.identity.holder, heartbeat.as_ref());
        let TimeReply(time) = self.lease_link.script(&call, &self.keys.lock()).await?;
        Ok(time)
    }

    async fn take_lease(
        &self,
        length: Duration,
        stuck_holder: Option<&str>,
        heartbeat: Option<Heartbeat<'_>>,
    ) -> Result<(Lease, DateTime<Utc>), StoreError> {
        let (us, heartbeat) = (&self.identity, heartbeat.as_ref());
        let call = lease::call(&self.keys, us, length, stuck_holder, heartbeat);
        let LeaseReply { lease, time } = self.lease_link.script(&call, &self.keys.lock()).await?;
        Ok((lease, time))
    }

    async fn release_lease(&self) -> Result<bool, StoreError> {
        let call = release::call(&self.keys, &self.identity);
        self.lease_link.script(&call, &self.keys.lock()).await
    }

    async fn wait_for_handover(&self, timeout: Duration) -> Result<(), StoreError> {
        self.handover.wait_for(&self.keys.handover(), timeout).await
    }

    async fn records(&self) -> Result<Records, StoreError> {
        self.reader().records(None).await
    }

    async fn records_of(&self, names: &[String]) -> Result<Records, StoreError> {
        self.reader().records(Some(names)).await
    }

    async fn last_enqueued(&self) -> Result<HashMap<String, DateTime<Utc>>, StoreError> {
        self.reader().last_enqueued().await
    }

    async fn last_outcomes(
        &self,
        names: &[String],
    ) -> Result<HashMap<String, Outcome>, StoreError> {
        let records = self.reader().last_records(names).await?;
        Ok(records
            .into_iter()
            .map(|(name, it)| (name, it.outcome))
            .collect())
    }

    async fn change_records(
        &self,
        changes: &[RecordChange],
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.write_records(changes, now).await
    }

    async fn forget(
        &self,
        entries: &[(String, DateTime<Utc>)],
    ) -> Result<Option<Vec<String>>, StoreError> {
        self.remove_records(entries).await
    }

    async fn changed_entries(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let key = self.keys.changed_entries();
        self.connection.command(&Cmd::smembers(&key), &key).await
    }

    async fn dynamic_names(&self) -> Result<BTreeMap<Vec<u8>, String>, StoreError> {
        self.read_dynamic_names().await
    }

    async fn dynamic_entries_of(
        &self,
        names: &[Vec<u8>],
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        let key = self.keys.dynamic_entries();
        let get = Cmd::hmget(&key, names);
        let values: Vec<Option<Vec<u8>>> = self.connection.command(&get, &key).await?;
        let found = names.iter().cloned().zip(values);
        Ok(found
            .filter_map(|(name, json)| Some((name, json?)))
            .collect())
    }

    async fn ack_changes(&self, changes: &[(Vec<u8>, Vec<u8>)]) -> Result<bool, StoreError> {
        let call = ack_changes::call(&self.keys, &self.identity.holder, changes);
        let key = self.keys.changed_entries();
        let settled: bool = self.connection.script(&call, &key).await?;
        Ok(self
            .reconnect_if_lost(settled.then_some(()))
            .await
            .is_some())
    }

    async fn published(&self, from: Option<&str>) -> Result<PublishedPage, StoreError> {
        self.read_published(from).await
    }

    async fn publish(&self, publications: &[Publication]) -> Result<bool, StoreError> {
        self.write_published(publications).await
    }

    async fn fire(
        &self,
        fires: &[Fire<'_>],
        now: DateTime<FixedOffset>,
    ) -> Result<Option<Vec<FireOutcome>>, StoreError> {
        let call = fire::call(&self.keys, &self.identity.holder, fires, now, self.limits);
        let outcomes = self.connection.script(&call, &self.keys.fired()).await?;
        Ok(self.reconnect_if_lost(outcomes).await)
    }

    async fn note_missed(
        &self,
        missed: &[Missed<'_>],
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<MissedOutcome>>, StoreError> {
        let (holder, history) = (&self.identity.holder, self.limits.history);
        let call = missed::call(&self.keys, holder, missed, now, history);
        let outcomes = self.connection.script(&call, &self.keys.fired()).await?;
        Ok(self.reconnect_if_lost(outcomes).await)
    }

    async fn is_any_due(
        &self,
        now: DateTime<Utc>,
        from: Option<&Place>,
    ) -> Result<bool, StoreError> {
        let schedule = self.keys.delayed_schedule();
        let (first, before) = from.map_or(("-inf", 0), |from| (&from.score, from.before));
        let skip = isize::try_from(before).unwrap_or(isize::MAX);
        let oldest = Cmd::zrangebyscore_limit(&schedule, first, now.timestamp(), skip, 1);
        let members: Vec<Vec<u8>> = self.small().command(&oldest, &schedule).await?;
        Ok(!members.is_empty())
    }

    async fn due(
        &self,
        now: DateTime<Utc>,
        limit: BatchLimit,
        from: Option<&Place>,
    ) -> Result<Option<Due>, StoreError> {
        self.read_due(now, limit, from).await
    }

    async fn before(
        &self,
        place: &Place,
        skip: usize,
        count: usize,
    ) -> Result<Vec<(Vec<u8>, String)>, StoreError> {
        let schedule = self.keys.delayed_schedule();
        let last = format!("({}", place.score);
        let [skip, count] = [skip, count].map(|it| isize::try_from(it).unwrap_or(isize::MAX));
        let page = Cmd::zrangebyscore_limit_withscores(&schedule, "-inf", last, skip, count);
        self.connection.command(&page, &schedule).await
    }

    async fn move_batch(
        &self,
        buckets: &[Bucket],
        targets: &[Destination],
    ) -> Result<Option<Vec<MoveOutcome>>, StoreError> {
        self.write_moves(buckets, targets).await
    }

    async fn set_aside(
        &self,
        member: &[u8],
        before: usize,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<MoveOutcome>, StoreError> {
        let limits = (self.limits.item, self.limits.quarantine);
        let (holder, item) = (&self.identity.holder, (member, before));
        let call = aside::call(&self.keys, holder, item, reason, now, limits);
        let key = self.keys.quarantine();
        let outcome = self.connection.script(&call, &key).await?;
        Ok(self.reconnect_if_lost(outcome).await)
    }

    async fn note_events(&self, events: &[EventRecord]) -> Result<(), StoreError> {
        let key = self.keys.events();
        let mut add = redis::pipe();
        for event in events {
            // Cannot fail: it has no maps whose keys are not strings.
            add.lpush(&key, serde_json::to_string(event).unwrap_or_default())
                .ignore();
        }
        add.ltrim(&key, 0, EVENTS - 1).ignore();
        self.connection.pipeline(&add, &key).await
    }

    fn events(&self) -> String {
        self.keys.events()
    }

    async fn quarantined(&self) -> Result<usize, StoreError> {
        self.length_of_list(&self.keys.quarantine()).await
    }

    async fn take_jobs(&self, queues: &[&str]) -> Result<Vec<bool>, StoreError> {
        let call = probe::call(&self.keys, queues);
        self.small().script(&call, &self.keys.queue("")).await
    }
}

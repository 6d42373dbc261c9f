//! The real store: each thing done in Redis is one atomic script.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use serde_json::json;

use super::{
    Address, BatchLimit, Bucket, Due, Fire, FireOutcome, Identity, Keys, Lease, MoveOutcome,
    Records, Store, StoreError, Target,
    connection::Connection,
    scripts::{self, BucketItems, LeaseReply},
};
use crate::core::guard::{Guard, Overlap};

/// How many items `move.lua` pushes in one command: Lua can't unpack any number.
const LONGEST_RUN: usize = 1_000;

/// As Ruby prints a time, which is how resque-scheduler 5.0 writes `last_enqueued_at`.
const STAMP: &str = "%Y-%m-%d %H:%M:%S %z";

/// Redis under one namespace.
pub struct RedisStore {
    connection: Connection,
    /// For the call that blocks.
    handover: Connection,
    keys: Keys,
    identity: Identity,
}

impl RedisStore {
    /// A store at `address` under `keys`' namespace, acting as `identity`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`StoreError::NoHashTag`].
    pub fn open(address: &Address, keys: Keys, identity: Identity) -> Result<Self, StoreError> {
        address.check_namespace(&keys)?;
        Ok(Self {
            connection: Connection::open(address),
            handover: Connection::open(address),
            keys,
            identity,
        })
    }

    /// An answer that is `None` because the lease is not ours. We may hold it all the same, on another
    /// server: this one was the master once, and nobody has closed our connection to it.
    async fn unless_lost<T>(&self, answer: Option<T>) -> Option<T> {
        if answer.is_none() {
            self.connection.reopen().await;
        }
        answer
    }
}

impl Store for RedisStore {
    fn apart(&self) -> Self {
        Self {
            connection: self.connection.another(),
            handover: self.handover.another(),
            keys: self.keys.clone(),
            identity: self.identity.clone(),
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

    async fn take_lease(
        &self,
        length: Duration,
        stuck_holder: Option<&str>,
    ) -> Result<(Lease, DateTime<Utc>), StoreError> {
        let mut call = scripts::LEASE.prepare_invoke();
        call.key(self.keys.lock()).key(self.keys.token());
        call.arg(&self.identity.holder)
            .arg(&self.identity.token)
            .arg(length.as_millis())
            .arg(stuck_holder.unwrap_or_default());
        let LeaseReply { lease, time } = self.connection.script(&call, &self.keys.lock()).await?;
        Ok((lease, time))
    }

    async fn release_lease(&self) -> Result<bool, StoreError> {
        let mut call = scripts::RELEASE.prepare_invoke();
        call.key(self.keys.lock())
            .key(self.keys.token())
            .key(self.keys.handover());
        call.arg(&self.identity.holder).arg(&self.identity.token);
        self.connection.script(&call, &self.keys.lock()).await
    }

    async fn wait_for_handover(&self, timeout: Duration) -> Result<(), StoreError> {
        self.handover.wait_for(&self.keys.handover(), timeout).await
    }

    async fn records(&self) -> Result<Records, StoreError> {
        type Hash = HashMap<String, String>;
        let mut all = redis::pipe();
        all.hgetall(self.keys.seen())
            .hgetall(self.keys.fired())
            .hgetall(self.keys.fires());
        let (seen, fired, counted): (Hash, Hash, Hash) =
            self.connection.pipeline(&all, &self.keys.fired()).await?;
        // What nobody of us can have written is as if it were not there.
        let instant = |seconds: &str| DateTime::from_timestamp(seconds.parse().ok()?, 0);
        let mut records = Records::default();
        for (name, value) in seen {
            if let Some((at, timing)) = value.split_once(' ')
                && let Some(at) = instant(at)
            {
                records.seen.insert(name, (at, timing.to_owned()));
            }
        }
        let mut ruby = redis::pipe();
        ruby.hgetall(self.keys.last_enqueued_at())
            .hgetall(self.keys.stamps());
        let key = self.keys.last_enqueued_at();
        let (enqueued, stamps): (Hash, Hash) = match self.connection.pipeline(&ruby, &key).await {
            // Other programs write there, too; what they broke must not stop our fires.
            Err(error @ StoreError::Corrupt { .. }) => {
                records.unreadable = Some(error);
                Default::default()
            }
            read => read?,
        };
        for (name, stamp) in enqueued {
            let ours = stamps.get(&name).and_then(|at| instant(at));
            if let Ok(at) = DateTime::parse_from_str(&stamp, STAMP)
                && ours.is_none_or(|ours| at > ours)
            {
                records.enqueued_elsewhere.insert(name, at.to_utc());
            }
        }
        for (name, at) in fired {
            if let Some(at) = instant(&at) {
                records.fired.insert(name, at);
            }
        }
        let counted = counted.into_iter();
        records.fires = counted
            .filter_map(|(name, n)| Some((name, n.parse().ok()?)))
            .collect();
        Ok(records)
    }

    async fn record_seen(
        &self,
        first: &[(String, String)],
        gone: &[String],
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut call = scripts::SEEN.prepare_invoke();
        call.key(self.keys.lock())
            .key(self.keys.seen())
            .key(self.keys.fires());
        call.arg(&self.identity.holder).arg(gone.len()).arg(gone);
        for (name, timing) in first {
            call.arg(name).arg(format!("{} {timing}", now.timestamp()));
        }
        let recorded: bool = self.connection.script(&call, &self.keys.seen()).await?;
        Ok(self.unless_lost(recorded.then_some(())).await.is_some())
    }

    async fn changed_entries(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let key = self.keys.changed_entries();
        let mut names = redis::pipe();
        names.smembers(&key);
        let (names,) = self.connection.pipeline(&names, &key).await?;
        Ok(names)
    }

    async fn dynamic_entries(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        let key = self.keys.dynamic_entries();
        let mut entries = redis::pipe();
        entries.hgetall(&key);
        let (entries,) = self.connection.pipeline(&entries, &key).await?;
        Ok(entries)
    }

    async fn settle_changes(&self, changes: &[(Vec<u8>, Vec<u8>)]) -> Result<bool, StoreError> {
        let mut call = scripts::SETTLE.prepare_invoke();
        call.key(self.keys.lock())
            .key(self.keys.changed_entries())
            .key(self.keys.dynamic_entries());
        call.arg(&self.identity.holder);
        for (name, json) in changes {
            call.arg(name).arg(json);
        }
        let key = self.keys.changed_entries();
        let settled: bool = self.connection.script(&call, &key).await?;
        Ok(self.unless_lost(settled.then_some(())).await.is_some())
    }

    async fn fire(
        &self,
        fires: &[Fire<'_>],
        now: DateTime<FixedOffset>,
    ) -> Result<Option<Vec<FireOutcome>>, StoreError> {
        let mut call = scripts::FIRE.prepare_invoke();
        call.key(self.keys.lock())
            .key(self.keys.fired())
            .key(self.keys.fires());
        call.key(self.keys.last_enqueued_at())
            .key(self.keys.stamps());
        call.key(self.keys.queues());
        call.arg(&self.identity.holder)
            .arg(now.format(STAMP).to_string())
            .arg(now.timestamp())
            .arg(fires.len());
        for fire in fires {
            call.key(self.keys.queue(fire.queue));
            let times = fire
                .times
                .map_or_else(String::new, |times| times.to_string());
            call.arg(fire.name)
                .arg(times)
                .arg(fire.fire_time.timestamp());
            call.arg(fire.queue).arg(&*fire.payload);
        }
        add_guards(&mut call, fires);
        let overlap = |fire: &Fire<'_>| fire.guard.overlap;
        if fires.iter().any(|it| overlap(it) == Overlap::SkipIfRunning) {
            call.key(self.keys.workers());
        }
        let outcomes = self.connection.script(&call, &self.keys.fired()).await?;
        Ok(self.unless_lost(outcomes).await)
    }

    async fn due(
        &self,
        now: DateTime<Utc>,
        limit: BatchLimit,
        without: &HashSet<Vec<u8>>,
    ) -> Result<Option<Due>, StoreError> {
        let mut oldest = redis::pipe();
        oldest.get(self.keys.lock());
        oldest
            .cmd("ZRANGEBYSCORE")
            .arg(self.keys.delayed_schedule())
            .arg("-inf")
            .arg(now.timestamp());
        oldest
            .arg("WITHSCORES")
            .arg("LIMIT")
            .arg(0)
            .arg(limit.count + without.len());
        let schedule = &self.keys.delayed_schedule();
        let (holder, mut members): (Option<String>, Vec<(Vec<u8>, f64)>) =
            self.connection.pipeline(&oldest, schedule).await?;
        if holder.as_ref() != Some(&self.identity.holder) {
            return Ok(self.unless_lost(None).await);
        }
        members.retain(|(member, _)| !without.contains(member));
        members.truncate(limit.count);
        if members.is_empty() {
            return Ok(Some(Due::default()));
        }
        let mut call = scripts::READ.prepare_invoke();
        for (member, _) in &members {
            call.key(self.keys.bucket(member));
        }
        call.arg(limit.count).arg(limit.bytes);
        let items: Vec<BucketItems> = self
            .connection
            .script(&call, &self.keys.delayed_schedule())
            .await?;
        let mut due = Due::default();
        for ((member, score), items) in members.into_iter().zip(items) {
            #[expect(clippy::cast_possible_truncation, reason = "a fraction doesn't matter")]
            let at = DateTime::from_timestamp(score as i64, 0).unwrap_or(now);
            match items {
                BucketItems::Items(items) => due.buckets.push(Bucket {
                    member,
                    due: at,
                    items,
                }),
                BucketItems::Unreadable(reason) => due.unreadable.push((member, reason)),
            }
        }
        Ok(Some(due))
    }

    async fn move_batch(
        &self,
        buckets: &[Bucket],
        targets: &[Target],
    ) -> Result<Option<Vec<MoveOutcome>>, StoreError> {
        let places = Places::of(targets, &self.keys);
        let mut call = scripts::MOVE.prepare_invoke();
        call.key(self.keys.lock())
            .key(self.keys.delayed_schedule())
            .key(self.keys.queues())
            .key(&places.keys);
        call.arg(&self.identity.holder)
            .arg(self.keys.timestamps(b""))
            .arg(places.keys.len())
            .arg(places.queues.len())
            .arg(&places.queues);
        let mut targets = targets;
        for bucket in buckets {
            call.key(self.keys.bucket(&bucket.member));
            call.arg(&bucket.member).arg(bucket.items.len());
            let (ours, rest) = targets.split_at(bucket.items.len());
            targets = rest;
            let moves: Vec<_> = bucket.items.iter().zip(ours).collect();
            let form =
                |&(item, target): &(&Vec<u8>, &Target)| (places.number(target), cut(item, target));
            for run in moves.chunk_by(|one, other| form(one) == form(other)) {
                for run in run.chunks(LONGEST_RUN) {
                    let (place, cut) = form(&run[0]);
                    let cut_text = cut.map_or_else(String::new, |bytes| bytes.to_string());
                    call.arg(place).arg(run.len()).arg(cut_text);
                    for (item, target) in run {
                        call.arg(item);
                        match target {
                            Target::Queue { payload, .. } if cut.is_none() => call.arg(payload),
                            Target::Queue { .. } => &mut call,
                            Target::Quarantine { reason, at } => {
                                call.arg(quarantine_record(&bucket.member, item, reason, *at))
                            }
                        };
                    }
                }
            }
        }
        let key = self.keys.delayed_schedule();
        let outcomes = self.connection.script(&call, &key).await?;
        Ok(self.unless_lost(outcomes).await)
    }
}

/// Adds the guards of those fires that have one.
fn add_guards(call: &mut redis::ScriptInvocation<'_>, fires: &[Fire<'_>]) {
    for (number, fire) in (1..)
        .zip(fires)
        .filter(|(_, it)| it.guard != Guard::default())
    {
        let longest = fire.guard.max_queue_length;
        call.arg::<u64>(number)
            .arg(longest.map_or_else(String::new, |it| it.to_string()));
        let pattern = fire.pattern.as_deref().unwrap_or_default();
        let (overlap, pattern) = match fire.guard.overlap {
            Overlap::Allow => ("", &[][..]),
            Overlap::SkipIfQueued => ("queued", pattern),
            Overlap::SkipIfRunning => ("running", pattern),
        };
        call.arg(overlap).arg(pattern.len()).arg(pattern);
    }
}

/// The keys to which a batch goes, each once.
struct Places<'t> {
    /// In order.
    queues: Vec<&'t str>,
    /// Those of the queues, and behind them the quarantine's, if it gets something.
    keys: Vec<String>,
}

impl<'t> Places<'t> {
    fn of(targets: &'t [Target], keys: &Keys) -> Self {
        let queues: BTreeSet<&str> = targets.iter().filter_map(queue).collect();
        let quarantine = targets.iter().any(|target| queue(target).is_none());
        let quarantine = quarantine.then(|| keys.quarantine());
        let names = queues.iter().map(|name| keys.queue(name));
        Self {
            keys: names.chain(quarantine).collect(),
            queues: queues.into_iter().collect(),
        }
    }

    /// Counted from 1, as Lua does.
    fn number(&self, target: &Target) -> usize {
        let index = queue(target).map(|name| self.queues.partition_point(|other| *other < name));
        index.unwrap_or(self.queues.len()) + 1
    }
}

fn queue(target: &Target) -> Option<&str> {
    match target {
        Target::Queue { name, .. } => Some(name),
        Target::Quarantine { .. } => None,
    }
}

/// How many bytes at the end of the item `}` replaces, so that the payload is left, as in what Ruby
/// writes: it need not be sent then.
fn cut(item: &[u8], target: &Target) -> Option<usize> {
    let Target::Queue { payload, .. } = target else {
        return None;
    };
    let same = payload.strip_suffix('}')?.as_bytes();
    item.starts_with(same).then_some(item.len() - same.len())
}

/// What the quarantine keeps of an item: all that is needed to judge it and to put it back.
/// `item`, or `item_base64` where it is not UTF-8.
fn quarantine_record(member: &[u8], item: &[u8], reason: &str, at: DateTime<Utc>) -> String {
    let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let bucket = format!("delayed:{}", String::from_utf8_lossy(member));
    let mut record = json!({ "reason": reason, "bucket": bucket, "quarantined_at": at });
    match str::from_utf8(item) {
        Ok(text) => record["item"] = text.into(),
        Err(_) => record["item_base64"] = BASE64_STANDARD.encode(item).into(),
    }
    record.to_string()
}

//! The real store: each thing that is changed in Redis is one atomic script.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, FixedOffset, Utc};
use redis::FromRedisValue;

use super::{
    Address, BatchEnd, BatchLimit, Bucket, Due, Fire, FireOutcome, Identity, Keys, Lease,
    MoveOutcome, Records, Store, StoreError, Target,
    connection::Connection,
    moves,
    scripts::{self, DueReply, LeaseReply, NotMoved},
};
use crate::core::guard::{Guard, Overlap};

/// How many fields of a hash are read at a time.
const SCAN: usize = 1_000;
/// How many dynamic entries are read at a time; they may be long.
const SCAN_ENTRIES: usize = 100;

/// As Ruby prints a time, which is how resque-scheduler 5.0 writes `last_enqueued_at`.
const STAMP: &str = "%Y-%m-%d %H:%M:%S %z";

/// Redis under one namespace.
pub struct RedisStore {
    connection: Connection,
    /// For what is small and asked again and again, whichever loop asks: the lease, and whether anything
    /// is due. What is asked at the same moment is one round trip; and who looks here looks where the
    /// lease is held.
    steady: Connection,
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
            steady: Connection::open(address),
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

    /// Hands each field of a hash and its value to `take`, which has nothing to say. Read in parts: other
    /// clients wait while Redis reads, and we hold only what is made of it. What a failover meanwhile
    /// leaves out does no harm: the scripts judge by what Redis has.
    async fn for_each(
        &self,
        key: &str,
        take: impl FnMut(String, String) -> Option<()>,
    ) -> Result<(), StoreError> {
        self.scan(key, SCAN, take).await
    }

    /// The same, with about `page` fields at a time.
    async fn scan<T: FromRedisValue>(
        &self,
        key: &str,
        page: usize,
        mut take: impl FnMut(T, T) -> Option<()>,
    ) -> Result<(), StoreError> {
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::pipe();
            scan.cmd("HSCAN")
                .arg(key)
                .arg(cursor)
                .arg("COUNT")
                .arg(page);
            let ((next, fields),): ((u64, Vec<(T, T)>),) =
                self.connection.pipeline(&scan, key).await?;
            for (field, value) in fields {
                take(field, value);
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// How many fields a hash has: growing step by step, what is made of it would leave gaps behind.
    async fn length(&self, key: &str) -> Result<usize, StoreError> {
        let mut length = redis::pipe();
        length.hlen(key);
        let (length,) = self.connection.pipeline(&length, key).await?;
        Ok(length)
    }

    /// What others enqueued last, since we did: what they wrote is not what we stamped.
    async fn enqueued_elsewhere(&self) -> Result<HashMap<String, DateTime<Utc>>, StoreError> {
        let mut elsewhere = HashMap::new();
        self.for_each(&self.keys.last_enqueued_at(), |name, stamp| {
            let at = DateTime::parse_from_str(&stamp, STAMP).ok()?;
            elsewhere.insert(name, at.to_utc());
            Some(())
        })
        .await?;
        self.for_each(&self.keys.stamps(), |name, stamp| {
            let ours = instant(stamp.split(' ').next()?)?;
            if elsewhere.get(&name).is_some_and(|at| *at <= ours) {
                elsewhere.remove(&name);
            }
            Some(())
        })
        .await?;
        Ok(elsewhere)
    }

    /// Whether a bucket is due that is not in `without`: one command, for mostly there is none.
    async fn is_any_due(
        &self,
        now: DateTime<Utc>,
        without: &HashSet<Vec<u8>>,
    ) -> Result<bool, StoreError> {
        let schedule = self.keys.delayed_schedule();
        let mut oldest = redis::pipe();
        oldest
            .cmd("ZRANGEBYSCORE")
            .arg(&schedule)
            .arg("-inf")
            .arg(now.timestamp())
            .arg("LIMIT")
            .arg(0)
            .arg(1 + without.len());
        // Nothing that the lease could wait for: to connect, or much to be told.
        let steady = without.is_empty() && self.steady.is_open();
        let connection = if steady {
            &self.steady
        } else {
            &self.connection
        };
        let (members,): (Vec<Vec<u8>>,) = connection.pipeline(&oldest, &schedule).await?;
        Ok(members.iter().any(|member| !without.contains(member)))
    }
}

impl Store for RedisStore {
    fn apart(&self) -> Self {
        Self {
            connection: self.connection.another(),
            steady: self.steady.clone(),
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
        let LeaseReply { lease, time } = self.steady.script(&call, &self.keys.lock()).await?;
        Ok((lease, time))
    }

    async fn release_lease(&self) -> Result<bool, StoreError> {
        let mut call = scripts::RELEASE.prepare_invoke();
        call.key(self.keys.lock())
            .key(self.keys.token())
            .key(self.keys.handover());
        call.arg(&self.identity.holder).arg(&self.identity.token);
        self.steady.script(&call, &self.keys.lock()).await
    }

    async fn wait_for_handover(&self, timeout: Duration) -> Result<(), StoreError> {
        self.handover.wait_for(&self.keys.handover(), timeout).await
    }

    async fn records(&self) -> Result<Records, StoreError> {
        // What nobody of us can have written is as if it were not there.
        let mut records = Records::default();
        records.seen.reserve(self.length(&self.keys.seen()).await?);
        records
            .fired
            .reserve(self.length(&self.keys.fired()).await?);
        let mut timings = HashSet::<Arc<str>>::new();
        self.for_each(&self.keys.seen(), |name, value| {
            let (at, timing) = value.split_once(' ')?;
            let at = instant(at)?;
            let known = timings.get(timing).cloned();
            let timing = known.unwrap_or_else(|| timing.into());
            timings.insert(Arc::clone(&timing));
            records.seen.insert(name, (at, timing));
            Some(())
        })
        .await?;
        self.for_each(&self.keys.fired(), |name, at| {
            records.fired.insert(name, instant(&at)?);
            Some(())
        })
        .await?;
        self.for_each(&self.keys.fires(), |name, fires| {
            records.fires.insert(name, fires.parse().ok()?);
            Some(())
        })
        .await?;
        let enqueued = self.enqueued_elsewhere().await;
        match enqueued {
            // Other programs write there, too; what they broke must not stop our fires.
            Err(error @ StoreError::Corrupt { .. }) => records.unreadable = Some(error),
            enqueued => records.enqueued_elsewhere = enqueued?,
        }
        Ok(records)
    }

    async fn last_enqueued(&self) -> Result<HashMap<String, DateTime<Utc>>, StoreError> {
        let mut enqueued = HashMap::new();
        self.for_each(&self.keys.stamps(), |name, stamp| {
            enqueued.insert(name, instant(stamp.split(' ').next_back()?)?);
            Some(())
        })
        .await?;
        Ok(enqueued)
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
        let mut entries = BTreeMap::new();
        self.scan(&key, SCAN_ENTRIES, |name, json| {
            entries.insert(name, json);
            Some(())
        })
        .await?;
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
        behind: Option<&BatchEnd>,
    ) -> Result<Option<Due>, StoreError> {
        let schedule = &self.keys.delayed_schedule();
        if behind.is_none() && !self.is_any_due(now, without).await? {
            return Ok(Some(Due::default()));
        }
        let mut call = scripts::DUE.prepare_invoke();
        call.key(self.keys.lock()).key(schedule);
        call.arg(&self.identity.holder).arg(self.keys.bucket(b""));
        match behind {
            Some(end) => call.arg(&end.score),
            None => call.arg("-inf"),
        };
        call.arg(now.timestamp()).arg(limit.count).arg(limit.bytes);
        match behind {
            Some(end) => call.arg(&end.member).arg(end.items),
            None => call.arg("").arg(0),
        };
        for member in without {
            call.arg(member);
        }
        let reply: Option<DueReply> = self.connection.script(&call, schedule).await?;
        let Some(DueReply {
            last_score,
            buckets,
        }) = self.unless_lost(reply).await
        else {
            return Ok(None);
        };
        let mut due = Due::default();
        let last = buckets.last();
        due.end = last_score
            .zip(last)
            .map(|(score, (member, items))| BatchEnd {
                member: member.clone(),
                score,
                items: items.as_ref().map_or(0, Vec::len),
            });
        for (member, items) in buckets {
            match items {
                Ok(items) => {
                    let at = str::from_utf8(&member).ok().and_then(instant);
                    let due_at = at.map_or(now, |at| at.min(now));
                    due.buckets.push(Bucket {
                        member,
                        due: due_at,
                        items,
                    });
                }
                Err(reason) => due.unreadable.push((member, reason)),
            }
        }
        Ok(Some(due))
    }

    async fn move_batch(
        &self,
        buckets: &[Bucket],
        targets: &[Target],
    ) -> Result<Option<Vec<MoveOutcome>>, StoreError> {
        let mut call = scripts::MOVE.prepare_invoke();
        call.key(self.keys.lock())
            .key(self.keys.delayed_schedule())
            .key(self.keys.queues());
        call.arg(&self.identity.holder);
        moves::add(&mut call, &self.keys, buckets, targets);
        let key = self.keys.delayed_schedule();
        let not_moved: Option<NotMoved> = self.connection.script(&call, &key).await?;
        let outcomes = not_moved.map(|it| it.among(targets.len()));
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

/// The instant of a number of seconds.
fn instant(seconds: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds.parse().ok()?, 0)
}

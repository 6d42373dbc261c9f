//! Redis: the only floor that knows a key. One method for each thing that the floors above want
//! done; what must be atomic is one Lua script (`lua/`).

mod client;
mod connection;
mod error;
mod keys;
mod private_server;
mod scripts;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use serde_json::json;

pub use self::{
    client::{Client, ClientError},
    error::StoreError,
    keys::Keys,
    private_server::{Listen, PrivateServer},
    scripts::{FireOutcome, MoveOutcome},
};
use self::{connection::Connection, scripts::BucketItems};

/// As Ruby prints a time, which is how resque-scheduler 5.0 writes `last_enqueued_at`.
const STAMP: &str = "%Y-%m-%d %H:%M:%S %z";

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// When each was first seen, and with which timing (its
    /// [`crate::core::timing::Timing::identity`]).
    pub seen: HashMap<String, (DateTime<Utc>, String)>,
    /// The last fire time of each.
    pub fired: HashMap<String, DateTime<Utc>>,
    /// How many fires each had since it was first seen, where that is limited.
    pub fires: HashMap<String, u32>,
    /// When each was last enqueued by someone else, since we did: by a Ruby scheduler that led.
    pub enqueued_elsewhere: HashMap<String, DateTime<Utc>>,
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
}

/// A due bucket, or as much of it as fits into a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its member in the sorted set, byte for byte: Unix seconds, if a well-behaved app wrote it.
    pub member: Vec<u8>,
    /// When it was due: its score, or now if that is no date.
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
    /// Items, and buckets.
    pub count: usize,
    /// Bytes of items.
    pub bytes: usize,
}

/// Redis, as the engine sees it.
#[derive(Clone)]
pub struct Store {
    connection: Connection,
    /// Apart, so that a renewal never waits behind a large batch.
    lease: Connection,
    /// For the call that blocks.
    handover: Connection,
    keys: Keys,
    identity: Identity,
}

impl Store {
    /// A store at `url` under `keys`' namespace, acting as `identity`. Nothing is sent yet.
    /// To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Address`].
    pub fn open(url: &str, keys: Keys, identity: Identity) -> Result<Self, StoreError> {
        Ok(Self {
            connection: Connection::open(url)?,
            lease: Connection::open(url)?,
            handover: Connection::open(url)?,
            keys,
            identity,
        })
    }

    /// Host, port and database, without password.
    pub fn server(&self) -> &str {
        self.connection.server()
    }

    /// Our name in the leader's lock.
    pub fn holder(&self) -> &str {
        &self.identity.holder
    }

    /// The key of the leader's lock.
    pub fn lock(&self) -> String {
        self.keys.lock()
    }

    /// Takes the lease if it is free, renews it if it is ours. Atomic.
    ///
    /// # Errors
    /// As every call here: [`StoreError`]. After `Unavailable` the outcome is unknown.
    pub async fn take_lease(&self, length: Duration) -> Result<Lease, StoreError> {
        let mut call = scripts::LEASE.prepare_invoke();
        call.key(self.keys.lock()).key(self.keys.token());
        call.arg(&self.identity.holder)
            .arg(&self.identity.token)
            .arg(length.as_millis());
        self.lease.script(&call, &self.keys.lock()).await
    }

    /// Gives the lease back if it is ours, and wakes a follower. Atomic. `false`: it was not ours.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release_lease(&self) -> Result<bool, StoreError> {
        let mut call = scripts::RELEASE.prepare_invoke();
        call.key(self.keys.lock())
            .key(self.keys.token())
            .key(self.keys.handover());
        call.arg(&self.identity.holder).arg(&self.identity.token);
        self.lease.script(&call, &self.keys.lock()).await
    }

    /// Waits until a leader releases its lease, for at most `timeout`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn wait_for_handover(&self, timeout: Duration) -> Result<(), StoreError> {
        self.handover.wait_for(&self.keys.handover(), timeout).await
    }

    /// All that is known of entries.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn records(&self) -> Result<Records, StoreError> {
        type Hash = HashMap<String, String>;
        let mut all = redis::pipe();
        all.hgetall(self.keys.seen())
            .hgetall(self.keys.fired())
            .hgetall(self.keys.fires());
        all.hgetall(self.keys.last_enqueued_at())
            .hgetall(self.keys.stamps());
        let (seen, fired, counted, enqueued, stamps): (Hash, Hash, Hash, Hash, Hash) =
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

    /// Records that the entries in `first` (name, timing) are first seen at `now`, and forgets the
    /// names in `gone`. Atomic. `false`: the lease is lost, nothing was done.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_seen(
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
        self.connection.script(&call, &self.keys.seen()).await
    }

    /// Enqueues fires, each judged by itself against the fence, each once (DESIGN, law 1). Atomic.
    /// The outcomes are in the order of `fires`; `None`: the lease is lost, nothing was done.
    ///
    /// `now` is stamped on the entries for resque-web, in the clocks that it shows.
    ///
    /// # Errors
    /// [`StoreError`]. Trying again is safe.
    pub async fn fire(
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
            .arg(now.timestamp());
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
        self.connection.script(&call, &self.keys.fired()).await
    }

    /// The oldest buckets that are due at `now` (whole seconds), and their items.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due(&self, now: DateTime<Utc>, limit: BatchLimit) -> Result<Due, StoreError> {
        let mut oldest = redis::cmd("ZRANGEBYSCORE");
        oldest
            .arg(self.keys.delayed_schedule())
            .arg("-inf")
            .arg(now.timestamp());
        oldest
            .arg("WITHSCORES")
            .arg("LIMIT")
            .arg(0)
            .arg(limit.count);
        let schedule = &self.keys.delayed_schedule();
        let members: Vec<(Vec<u8>, f64)> = self.connection.command(&oldest, schedule).await?;
        if members.is_empty() {
            return Ok(Due::default());
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
        Ok(due)
    }

    /// Moves the items of `buckets` to the `targets` (as many, in the same order), and removes the
    /// buckets that are empty then (DESIGN, law 2). Atomic.
    /// The outcomes are in the order of `targets`; `None`: the lease is lost, nothing was done.
    ///
    /// # Errors
    /// [`StoreError`]. Trying again is safe.
    pub async fn move_batch(
        &self,
        buckets: &[Bucket],
        targets: &[Target],
    ) -> Result<Option<Vec<MoveOutcome>>, StoreError> {
        let queues = targets.iter().filter_map(|target| match target {
            Target::Queue { name, .. } => Some(name.as_str()),
            Target::Quarantine { .. } => None,
        });
        let queues: BTreeSet<&str> = queues.collect();
        let mut call = scripts::MOVE.prepare_invoke();
        call.key(self.keys.lock())
            .key(self.keys.delayed_schedule())
            .key(self.keys.queues());
        call.arg(&self.identity.holder)
            .arg(queues.len())
            .arg(queues);
        let mut targets = targets.iter();
        for bucket in buckets {
            call.key(self.keys.bucket(&bucket.member));
            call.arg(&bucket.member).arg(bucket.items.len());
            for (item, target) in bucket.items.iter().zip(&mut targets) {
                call.key(self.keys.timestamps(item)).arg(item);
                match target {
                    Target::Queue { name, payload } => {
                        call.key(self.keys.queue(name)).arg(payload);
                    }
                    Target::Quarantine { reason, at } => {
                        let record = quarantine_record(&bucket.member, item, reason, *at);
                        call.key(self.keys.quarantine()).arg(record);
                    }
                }
            }
        }
        self.connection
            .script(&call, &self.keys.delayed_schedule())
            .await
    }
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

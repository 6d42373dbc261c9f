//! A model of Redis in memory, as the scripts use it. Each script of `src/store/scripts` is one pure function that
//! follows the script line by line. The scripts of delayed jobs are in `buckets.rs`, those of records and dynamic
//! entries in `records.rs`. `conformance` checks the model against a real Redis.
//!
//! The model lacks what does not affect the engine: the reverse index (for apps that remove jobs); the stamps for
//! resque-web, which differ from our records only if a Ruby scheduler wrote them; the limit on searching a long
//! queue for an identical job; and records that no scheduler writes, such as a fire time after 2199.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use rescue_scheduler::{
    core::{
        firing::outcome::Outcome,
        schedule::overlap::{Guard, Overlap, SkipReason},
    },
    store::{Destination, Fire, FireOutcome, Identity, Lease, Limits},
};
use tokio::sync::Notify;

use super::{history::Record, records::AwaySeconds};

/// The error of Redis for a key that is not a list.
pub const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

/// A string that may have a TTL.
#[derive(Debug, Clone)]
struct Expiring {
    value: String,
    /// Last millisecond in which it exists.
    until: Option<i64>,
}

/// One fire, as `fire.lua` gets it.
#[derive(Debug, Clone)]
pub struct Shot {
    pub name: String,
    pub times: Option<u32>,
    pub fire_time: i64,
    pub queue: String,
    pub payload: String,
    pub guard: Guard,
    pub fixed_parts: Option<Vec<String>>,
    pub outcome: Outcome,
    /// In milliseconds.
    pub lateness: i64,
    /// When it was sent, by the server's clock in milliseconds, if its sender was the leader then.
    pub sent: Option<i64>,
}

impl From<&Fire<'_>> for Shot {
    fn from(fire: &Fire<'_>) -> Self {
        Self {
            name: fire.name.to_owned(),
            times: fire.times,
            fire_time: fire.fire_time.timestamp(),
            queue: fire.queue.to_owned(),
            payload: fire.payload.clone().into_owned(),
            guard: fire.guard,
            fixed_parts: fire.fixed_parts.clone(),
            outcome: fire.cause.outcome(),
            lateness: fire.lateness.num_milliseconds(),
            sent: None,
        }
    }
}

impl Shot {
    /// Returns the positions in `text` at which an identical payload that starts at its beginning may end.
    fn identical_ends(&self, text: &str) -> Vec<usize> {
        let parts = self.fixed_parts.as_deref();
        let parts = parts.unwrap_or(std::slice::from_ref(&self.payload));
        let html = [("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e")];
        let separators = [("\u{2028}", "\\u2028"), ("\u{2029}", "\\u2029")];
        let escaped = |parts: &[String], letters: &[(&str, &str)]| -> Vec<String> {
            let part = |part: &String| {
                let escape = |text: String, (from, to): &(&str, &str)| text.replace(from, to);
                letters.iter().fold(part.clone(), escape)
            };
            parts.iter().map(part).collect()
        };
        // An app may have either of the two parts disabled.
        let forms = [
            parts.to_vec(),
            escaped(parts, &html),
            escaped(parts, &separators),
            escaped(&escaped(parts, &html), &separators),
        ];
        forms.iter().flat_map(|it| Self::ends(it, text)).collect()
    }

    /// The same for one form of the payload.
    fn ends(parts: &[String], text: &str) -> Vec<usize> {
        let (first, others) = parts.split_first().unwrap();
        let mut ends: Vec<usize> = text
            .starts_with(first.as_str())
            .then_some(first.len())
            .into_iter()
            .collect();
        for part in others {
            let mut further = vec![];
            for end in ends {
                let rest = text[end..].bytes();
                let letters =
                    rest.take_while(|it| it.is_ascii_alphanumeric() || b":.-".contains(it));
                let starts = (1..=letters.count()).map(|length| end + length);
                let there = starts.filter(|start| text[*start..].starts_with(part.as_str()));
                further.extend(there.map(|start| start + part.len()));
            }
            ends = further;
        }
        ends
    }
}

/// A change by a script that matters to the laws.
#[derive(Debug, Clone)]
pub enum Change {
    Fired(Shot),
    Skipped(Shot, SkipReason),
    Paused(Shot),
    Moved {
        member: Vec<u8>,
        item: Vec<u8>,
        target: Destination,
    },
    Seen {
        name: String,
        timing: String,
        now: i64,
    },
    /// `was`: the previous record of its absence.
    Left {
        name: String,
        was: Option<AwaySeconds>,
        since: i64,
    },
    Returned {
        name: String,
        since: i64,
        until: i64,
    },
    Forgotten {
        name: String,
    },
    /// A dynamic entry was acknowledged, with the JSON that is in force.
    Settled {
        name: Vec<u8>,
        json: Vec<u8>,
    },
}

impl Hash for Change {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        match self {
            Self::Fired(shot) => (&shot.name, shot.fire_time).hash(hasher),
            Self::Skipped(shot, _) => (&shot.name, shot.fire_time, "skipped").hash(hasher),
            Self::Paused(shot) => (&shot.name, shot.fire_time, "paused").hash(hasher),
            Self::Moved { member, item, .. } => (member, item).hash(hasher),
            Self::Seen { name, now, .. } => (name, now).hash(hasher),
            Self::Left { name, since, .. } => (name, since, "left").hash(hasher),
            Self::Returned { name, until, .. } => (name, until, "returned").hash(hasher),
            Self::Forgotten { name } => (name, "forgotten").hash(hasher),
            Self::Settled { name, json } => (name, json, "settled").hash(hasher),
        }
    }
}

/// All data of Redis. The methods are the scripts, and what apps and operators do.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// The server's clock, in milliseconds.
    pub now: i64,
    lock: Option<Expiring>,
    token: Option<Expiring>,
    handover: Option<Expiring>,
    /// When it was first seen (Unix seconds), and the timing.
    pub seen: BTreeMap<String, (i64, String)>,
    pub fired: BTreeMap<String, i64>,
    pub fires: BTreeMap<String, u32>,
    pub away: BTreeMap<String, AwaySeconds>,
    /// JSON by name.
    pub dynamic_entries: BTreeMap<Vec<u8>, Vec<u8>>,
    pub changed_entries: BTreeSet<Vec<u8>>,
    /// By entry, or `*` for all: when the pause ends, in Unix seconds.
    pub paused: BTreeMap<String, i64>,
    /// Newest record first.
    pub histories: BTreeMap<String, Vec<Record>>,
    /// JSON of the entries in force, by name.
    pub published: BTreeMap<Vec<u8>, String>,
    pub queue_names: BTreeSet<String>,
    pub queues: BTreeMap<String, Vec<String>>,
    /// Each listed worker, and the contents of its key.
    pub workers: BTreeMap<String, Option<String>>,
    /// Whether the list of workers is not a set.
    pub workers_broken: bool,
    /// Queues that are not lists.
    pub broken: BTreeSet<String>,
    /// Score and member.
    pub schedule: BTreeSet<(i64, Vec<u8>)>,
    pub buckets: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    /// Buckets that are not lists.
    pub broken_buckets: BTreeSet<Vec<u8>>,
    /// Item and reason.
    pub quarantine: Vec<(Vec<u8>, String)>,
    /// Limits on sizes, counts and clock skew.
    pub limits: Limits,
    /// Changes since they were last taken.
    pub changes: Vec<Change>,
    /// Wakes followers that wait for a handover.
    pub released: Arc<Notify>,
}

impl Model {
    fn alive<'a>(&self, key: Option<&'a Expiring>) -> Option<&'a Expiring> {
        let there = |key: &&Expiring| key.until.is_none_or(|until| self.now <= until);
        key.filter(there)
    }

    /// Returns the process that holds the lock.
    pub fn holder(&self) -> Option<&str> {
        self.alive(self.lock.as_ref())
            .map(|lock| lock.value.as_str())
    }

    /// Returns the token of the process that holds the lock.
    pub fn holder_token(&self) -> Option<&str> {
        self.holder()?;
        let token = self.alive(self.token.as_ref());
        token.map(|token| token.value.as_str())
    }

    /// `lease.lua`.
    pub fn lease(&mut self, us: &Identity, length: Duration, stuck_holder: &str) -> Lease {
        let until = self.now + i64::try_from(length.as_millis()).unwrap();
        let expiring = |value: &String| {
            let (value, until) = (value.clone(), Some(until));
            Some(Expiring { value, until })
        };
        let lock = self.alive(self.lock.as_ref()).cloned();
        let token = self
            .alive(self.token.as_ref())
            .map(|token| token.value.clone());
        if let Some(Expiring { value, until: end }) = lock {
            if value == us.holder && token.as_ref() == Some(&us.token) {
                self.lock = expiring(&us.holder);
                self.token = expiring(&us.token);
                return Lease::Renewed;
            }
            let stuck = end.is_none() && value == stuck_holder;
            if (value != us.holder || token.is_some()) && !stuck {
                let left = |end: i64| Duration::from_millis((end - self.now).unsigned_abs());
                let (holder, remaining) = (value, end.map(left));
                return Lease::HeldBy { holder, remaining };
            }
        }
        self.lock = expiring(&us.holder);
        self.token = expiring(&us.token);
        Lease::Taken
    }

    /// `release.lua`.
    pub fn release(&mut self, us: &Identity) -> bool {
        let token = self
            .alive(self.token.as_ref())
            .map(|token| token.value.as_str());
        if self.holder() != Some(&us.holder) || token != Some(&us.token) {
            return false;
        }
        (self.lock, self.token) = (None, None);
        let (value, until) = (us.holder.clone(), Some(self.now + 1000));
        self.handover = Some(Expiring { value, until });
        self.released.notify_waiters();
        true
    }

    /// `LPOP` of the handover.
    pub fn take_handover(&mut self) -> bool {
        let there = self.alive(self.handover.as_ref()).is_some();
        self.handover = None;
        there
    }

    /// Removes all data.
    pub fn flush(&mut self) {
        *self = Self {
            now: self.now,
            limits: self.limits,
            released: Arc::clone(&self.released),
            ..Self::default()
        };
    }

    /// `fire.lua`. `at` in milliseconds.
    pub fn fire(&mut self, us: &Identity, shots: &[Shot], at: i64) -> Option<Vec<FireOutcome>> {
        if self.holder() != Some(&us.holder) {
            return None;
        }
        let fired = shots.iter().map(|shot| {
            let outcome = self.fire_one(shot);
            self.note_fire(shot, &outcome, at);
            outcome
        });
        Some(fired.collect())
    }

    fn fire_one(&mut self, shot: &Shot) -> FireOutcome {
        let last = self.fired.get(&shot.name).copied().unwrap_or_default();
        let fires = self.fires.get(&shot.name).copied().unwrap_or_default();
        if last >= shot.fire_time {
            return FireOutcome::AlreadyFired;
        }
        if self.is_early(shot.fire_time) {
            return FireOutcome::TooEarly;
        }
        if self.is_paused(&shot.name, shot.fire_time) {
            self.fired.insert(shot.name.clone(), shot.fire_time);
            self.changes.push(Change::Paused(shot.clone()));
            return FireOutcome::Paused;
        }
        if shot.times.is_some_and(|times| fires >= times) {
            return FireOutcome::HadAll;
        }
        if let Some(reason) = self.skip(shot) {
            self.fired.insert(shot.name.clone(), shot.fire_time);
            self.changes.push(Change::Skipped(shot.clone(), reason));
            return FireOutcome::Skipped(reason);
        }
        self.queue_names.insert(shot.queue.clone());
        if self.broken.contains(&shot.queue) {
            if shot.times.is_some() {
                self.fires.insert(shot.name.clone(), fires);
            }
            return FireOutcome::Rejected(WRONG_TYPE.to_owned());
        }
        if shot.times.is_some() {
            self.fires.insert(shot.name.clone(), fires + 1);
        }
        self.fired.insert(shot.name.clone(), shot.fire_time);
        let queue = self.queues.entry(shot.queue.clone()).or_default();
        queue.push(shot.payload.clone());
        self.changes.push(Change::Fired(shot.clone()));
        FireOutcome::Fired
    }

    /// Whether a time, in Unix seconds, is further in the future than a host's clock may be.
    pub fn is_early(&self, time: i64) -> bool {
        let skew = self.limits.clock_skew;
        let latest = skew.map(|skew| self.now + skew.num_milliseconds());
        latest.is_some_and(|latest| time * 1000 > latest)
    }

    /// Returns the reason to skip a fire, if there is one.
    fn skip(&self, shot: &Shot) -> Option<SkipReason> {
        let held = self.queues.get(&shot.queue).map_or(&[][..], Vec::as_slice);
        let queue = if self.broken.contains(&shot.queue) {
            &[]
        } else {
            held
        };
        let Guard {
            overlap,
            max_queue_length,
        } = shot.guard;
        if max_queue_length.is_some_and(|it| queue.len() as u64 >= it.get()) {
            return Some(SkipReason::QueueFull);
        }
        let looks = overlap != Overlap::Allow;
        if looks
            && queue
                .iter()
                .any(|it| shot.identical_ends(it).contains(&it.len()))
        {
            return Some(SkipReason::Queued);
        }
        let jobs = self.workers.values().flatten();
        // The first match is the payload of the job itself.
        let mut after = jobs.filter_map(|job| Some(job.split_once("\"payload\":")?.1));
        let looks = overlap == Overlap::SkipIfRunning && !self.workers_broken;
        let running = looks && after.any(|it| !shot.identical_ends(it).is_empty());
        running.then_some(SkipReason::Running)
    }

    /// Removes the lock and its token, as if they had expired.
    pub fn expire_lock(&mut self) {
        (self.lock, self.token) = (None, None);
    }

    /// Another kind of scheduler was killed and left a lock without a TTL.
    pub fn leave_lock(&mut self, holder: &str) {
        let (value, until) = (holder.to_owned(), None);
        self.lock = Some(Expiring { value, until });
        self.token = None;
    }
}

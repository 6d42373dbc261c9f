//! The name, type and owner of every Redis key.
//!
//! The keys of Resque 3.0 and resque-scheduler 5.0 come first. Only this scheduler uses those under
//! `{namespace}:rescue_scheduler:`.

/// The key of [`Keys::aside`], without the namespace and the member at its end.
pub(super) const ASIDE: &str = "rescue_scheduler:quarantine:delayed:";

/// The names of all keys in one namespace.
#[derive(Debug, Clone)]
pub struct Keys {
    namespace: String,
    lock_prefix: Option<String>,
}

impl Keys {
    /// Creates the keys of `namespace`; `lock_prefix` is `RESQUE_SCHEDULER_MASTER_LOCK_PREFIX`.
    pub fn new(namespace: &str, lock_prefix: Option<&str>) -> Self {
        let filled = |prefix: &&str| !prefix.is_empty();
        Self {
            namespace: namespace.to_owned(),
            lock_prefix: lock_prefix.filter(filled).map(str::to_owned),
        }
    }

    /// Whether all keys are in one slot of a cluster.
    ///
    /// They are if there is text between the first `{` of the namespace and the next `}`.
    pub(super) fn have_hash_tag(&self) -> bool {
        let tag = self.namespace.split_once('{');
        let tag = tag.and_then(|(_, rest)| rest.split_once('}'));
        tag.is_some_and(|(tag, _)| !tag.is_empty())
    }

    /// Returns the namespace.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    fn prefix(&self) -> String {
        let prefix = self.lock_prefix.as_ref();
        prefix.map_or_else(String::new, |prefix| format!("{prefix}:"))
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.namespace)
    }

    /// Set: names of all queues.
    pub fn queues(&self) -> String {
        self.key("queues")
    }

    /// List: payloads that wait for a worker, oldest first.
    pub fn queue(&self, name: &str) -> String {
        self.key(&format!("queue:{name}"))
    }

    /// Set: ids of all workers.
    ///
    /// While a worker runs a job, its string `{namespace}:worker:ID` holds JSON about the job. Otherwise there is
    /// no string.
    pub fn workers(&self) -> String {
        self.key("workers")
    }

    /// Sorted set: one member per bucket. Member and score are its timestamp.
    pub fn delayed_schedule(&self) -> String {
        self.key("delayed_queue_schedule")
    }

    /// List: the delayed items of the timestamp `member`, in order of arrival.
    pub fn bucket(&self, member: &[u8]) -> Vec<u8> {
        [self.key("delayed:").as_bytes(), member].concat()
    }

    /// Set, the reverse index: names of the buckets that hold this item, without the namespace.
    pub fn timestamps(&self, item: &[u8]) -> Vec<u8> {
        [self.key("timestamps:").as_bytes(), item].concat()
    }

    /// Hash: entry name → time of its last enqueue, as Ruby prints it.
    pub fn last_enqueued_at(&self) -> String {
        self.key("delayed:last_enqueued_at")
    }

    /// Hash: name of a dynamic entry → its JSON.
    pub fn dynamic_entries(&self) -> String {
        self.key("persistent_schedules")
    }

    /// Set: names of dynamic entries that were set or removed. The leader removes the names when it has loaded the
    /// change.
    pub fn changed_entries(&self) -> String {
        self.key("schedules_changed")
    }

    /// String: `hostname:pid` of the leader. As in the gem, the key contains the namespace twice.
    pub fn lock(&self) -> String {
        let (namespace, prefix) = (&self.namespace, self.prefix());
        format!("{namespace}:{namespace}:{prefix}resque_scheduler_master_lock")
    }

    /// Returns a key of this scheduler that contains the lock prefix, if there is one.
    fn own(&self, name: &str) -> String {
        self.key(&format!("rescue_scheduler:{}{name}", self.prefix()))
    }

    /// String: token of the leader's process.
    ///
    /// It tells two processes with the same lock value apart, such as process 1 in two containers of one host.
    pub fn token(&self) -> String {
        self.own("token")
    }

    /// List: has an element for one second after a leader releases its lease. The follower that gets it takes
    /// over.
    pub fn handover(&self) -> String {
        self.own("handover")
    }

    /// String with a TTL: status of the process `holder`, JSON.
    pub fn scheduler(&self, holder: &str) -> String {
        self.own(&format!("schedulers:{holder}"))
    }

    /// Hash: `hostname:pid` of each process → when its [`Self::scheduler`] expires, Unix seconds.
    pub fn schedulers(&self) -> String {
        self.own("schedulers")
    }

    /// List: events of the schedulers and actions of people, JSON, newest first.
    pub fn events(&self) -> String {
        self.own("events")
    }

    /// Hash, the fence: entry name → last fire time, Unix seconds.
    pub fn fired(&self) -> String {
        self.own("fired")
    }

    /// Hash: entry name → number of its fires since it was first seen. Only for entries with `times`.
    pub fn fires(&self) -> String {
        self.own("fires")
    }

    /// Hash: entry name → when it was first seen (Unix seconds), a space, and the identity of its timing.
    pub fn seen(&self) -> String {
        self.own("seen")
    }

    /// Hash: entry name → when it left the schedule (Unix seconds); if it has returned, also a space and when it
    /// did.
    pub fn away(&self) -> String {
        self.own("away")
    }

    /// List: outcomes of the fires of the entry `name`, newest first.
    pub fn history(&self, name: &str) -> String {
        self.own(&format!("history:{name}"))
    }

    /// Hash: entry name, or `*` for all entries → who paused it, why, since when and until when, JSON.
    pub fn paused(&self) -> String {
        self.own("paused")
    }

    /// Hash: name of an entry in force → its JSON, as the leader published it.
    pub fn entries(&self) -> String {
        self.own("entries")
    }

    /// Hash: entry name → a time, the lock prefix if there is one, and a fire time, separated by spaces. Unix seconds.
    ///
    /// The first is the time that a scheduler of ours wrote to [`Self::last_enqueued_at`], a key that all
    /// schedulers share. The second is the fire time that was enqueued then. If `last_enqueued_at` has a later
    /// time, a Ruby scheduler wrote it.
    pub fn stamps(&self) -> String {
        self.key("rescue_scheduler:stamps")
    }

    /// Returns the part of a stamp that names the scheduler's lock prefix: a space and the prefix, or nothing.
    pub(super) fn stamp_prefix(&self) -> String {
        let prefix = self.lock_prefix.as_ref();
        prefix.map_or_else(String::new, |prefix| format!(" {prefix}"))
    }

    /// List: JSON records of delayed items that cannot be enqueued.
    pub fn quarantine(&self) -> String {
        self.key("rescue_scheduler:quarantine")
    }

    /// List: items of the timestamp `member` that were too large to read, oldest first.
    ///
    /// Their records in [`Self::quarantine`] name this key, without the namespace.
    pub fn aside(&self, member: &[u8]) -> Vec<u8> {
        [self.key(ASIDE).as_bytes(), member].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tag_is_not_empty() {
        for (namespace, has_one) in [
            ("resque", false),
            ("{}", false),
            ("{a", false),
            ("}a{", false),
            ("{resque}", true),
            ("app:{b}:c", true),
        ] {
            let keys = Keys::new(namespace, None);
            assert_eq!(keys.have_hash_tag(), has_one, "{namespace}");
        }
    }

    #[test]
    fn the_lock_has_the_namespace_twice_and_the_prefix() {
        let lock = |prefix| Keys::new("myapp:resque", prefix).lock();
        let plain = "myapp:resque:myapp:resque:resque_scheduler_master_lock";
        assert_eq!(lock(None), plain);
        assert_eq!(lock(Some("")), plain);
        assert_eq!(
            lock(Some("MyApp:")),
            "myapp:resque:myapp:resque:MyApp::resque_scheduler_master_lock"
        );
    }
}

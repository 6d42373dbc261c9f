//! Every Redis key: its name, its Redis type, and who owns it.
//!
//! The first group is resque-scheduler's and Resque's own (as their versions 5.0 and 3.0 write
//! them); the second, under `{namespace}:rescue_scheduler:`, is ours alone.

/// What stands before the member in the key of [`Keys::aside`], without the namespace.
pub(super) const ASIDE: &str = "rescue_scheduler:quarantine:delayed:";

/// The names of all keys under one namespace.
#[derive(Debug, Clone)]
pub struct Keys {
    namespace: String,
    lock_prefix: Option<String>,
}

impl Keys {
    /// Keys under `namespace`; `lock_prefix` is `RESQUE_SCHEDULER_MASTER_LOCK_PREFIX`.
    pub fn new(namespace: &str, lock_prefix: Option<&str>) -> Self {
        let filled = |prefix: &&str| !prefix.is_empty();
        Self {
            namespace: namespace.to_owned(),
            lock_prefix: lock_prefix.filter(filled).map(str::to_owned),
        }
    }

    /// Whether all keys are in one slot of a cluster: what stands between the first `{` of a key and
    /// the next `}` decides about that, if it is anything.
    pub(super) fn have_hash_tag(&self) -> bool {
        let tag = self.namespace.split_once('{');
        let tag = tag.and_then(|(_, rest)| rest.split_once('}'));
        tag.is_some_and(|(tag, _)| !tag.is_empty())
    }

    /// The namespace.
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

    /// Set: the ids of the workers that there are. What each works on is in the string
    /// `{namespace}:worker:ID`, JSON; it is not there while the worker waits for a job.
    pub fn workers(&self) -> String {
        self.key("workers")
    }

    /// Sorted set: a member for each bucket, member and score its timestamp.
    pub fn delayed_schedule(&self) -> String {
        self.key("delayed_queue_schedule")
    }

    /// List: the delayed items of the timestamp `member`, in order of arrival.
    pub fn bucket(&self, member: &[u8]) -> Vec<u8> {
        [self.key("delayed:").as_bytes(), member].concat()
    }

    /// Set, the reverse index: the buckets that hold this very item, without namespace.
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

    /// Set: names of dynamic entries that were set or removed; the leader takes them out.
    pub fn changed_entries(&self) -> String {
        self.key("schedules_changed")
    }

    /// String: `hostname:pid` of the leader. The namespace stands twice in it, as in the gem.
    pub fn lock(&self) -> String {
        let (namespace, prefix) = (&self.namespace, self.prefix());
        format!("{namespace}:{namespace}:{prefix}resque_scheduler_master_lock")
    }

    /// A key of ours that schedulers with different lock prefixes don't share.
    fn own(&self, name: &str) -> String {
        self.key(&format!("rescue_scheduler:{}{name}", self.prefix()))
    }

    /// String: token of the leader's process. Tells apart two processes with the same lock value,
    /// such as process 1 in two containers of one host.
    pub fn token(&self) -> String {
        self.own("token")
    }

    /// List: an element for a moment after a leader stops; a follower that waits for it takes over.
    pub fn handover(&self) -> String {
        self.own("handover")
    }

    /// String, with an end: what the process `holder` says of itself, JSON.
    pub fn scheduler(&self, holder: &str) -> String {
        self.own(&format!("schedulers:{holder}"))
    }

    /// Hash: `hostname:pid` of each process → when its [`Self::scheduler`] ends, Unix seconds.
    pub fn schedulers(&self) -> String {
        self.own("schedulers")
    }

    /// List: what happened to schedulers and what people did, JSON, newest first.
    pub fn events(&self) -> String {
        self.own("events")
    }

    /// Hash, the fence: entry name → last fire time, Unix seconds.
    pub fn fired(&self) -> String {
        self.own("fired")
    }

    /// Hash: entry name → number of its fires since it was first seen, where that is limited.
    pub fn fires(&self) -> String {
        self.own("fires")
    }

    /// Hash: entry name → when it was first seen (Unix seconds), a space, and its timing.
    pub fn seen(&self) -> String {
        self.own("seen")
    }

    /// Hash: entry name → when it left the schedule (Unix seconds); and, if it returned, a space and when.
    pub fn away(&self) -> String {
        self.own("away")
    }

    /// List: what became of the fires of the entry `name`, newest first.
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

    /// Hash: entry name → the time, Unix seconds, that one of us stamped on it in
    /// [`Self::last_enqueued_at`], which all share, and the fire time that was enqueued then; between them
    /// `stamp_prefix`. A later stamp there is a Ruby scheduler's.
    pub fn stamps(&self) -> String {
        self.key("rescue_scheduler:stamps")
    }

    /// What tells our stamps from those of schedulers with another lock prefix: a space and ours, if there is one.
    pub(super) fn stamp_prefix(&self) -> String {
        let prefix = self.lock_prefix.as_ref();
        prefix.map_or_else(String::new, |prefix| format!(" {prefix}"))
    }

    /// List: JSON records of delayed items that can't be enqueued.
    pub fn quarantine(&self) -> String {
        self.key("rescue_scheduler:quarantine")
    }

    /// List: the items of the timestamp `member` that were too large to be read, oldest first. Their
    /// records in [`Self::quarantine`] name it without the namespace.
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

//! Publishes the entries in force in Redis, so that commands can read them without the schedule files.
//!
//! The loop has its own connection, so that no fire waits for it. Its errors affect nothing else.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    core::schedule::{Schedule, entry::Entry},
    engine::{
        breath::Breath,
        health::{Health, HealthPart},
        in_force::InForce,
        outage::Outage,
    },
    events::Events,
    store::{Publication, PublishedEntry, Store, StoreError, digest},
};

/// Maximum number of entries and approximate maximum of bytes in one call. Other clients wait while the script
/// runs.
const ENTRIES: usize = 200;
const BYTES: usize = 256 << 10;

/// The pause after a call is this many times as long as the call.
const REST: u32 = 3;
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Writing an entry as JSON takes as long as looking at this many entries.
const EFFORT: usize = 10;

/// Pause after Redis reports that the lease is lost. Meanwhile leadership checks the lease.
const LEASE_LOST: Duration = Duration::from_secs(1);
/// Pause after Redis refuses the key. A person has to correct the key or the user's rights.
const REFUSED: Duration = Duration::from_secs(60);

/// The loop that publishes the entries in force.
pub(super) struct Publishing<S> {
    store: S,
    clock: Arc<dyn Clock>,
    health: Health,
    outage: Outage,
    /// The schedule to publish. `None` while another scheduler is the leader.
    in_force: watch::Receiver<Option<InForce>>,
    /// The schedule that Redis has, if it is known.
    published: Option<InForce>,
}

impl<S: Store> Publishing<S> {
    pub(super) fn new(
        store: S,
        clock: Arc<dyn Clock>,
        health: &Health,
        events: &Events,
        in_force: watch::Receiver<Option<InForce>>,
    ) -> Self {
        Self {
            store,
            clock,
            health: health.clone(),
            outage: Outage::of(HealthPart::Published, health, events),
            in_force,
            published: None,
        }
    }

    /// Publishes every schedule that is put in force, until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut pause = None;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = self.in_force.changed() => if changed.is_err() {
                    // The recurring loop has ended.
                    return;
                },
                () = self.clock.sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                next = self.pass() => pause = next,
            }
        }
    }

    /// Publishes the schedule in force. Returns when to try again if that failed.
    async fn pass(&mut self) -> Option<Duration> {
        let in_force = self.in_force.borrow_and_update().clone();
        let Some(in_force) = in_force else {
            self.published = None;
            self.end_trouble(None);
            return None;
        };
        let outcome = self.publish(&in_force).await;
        let old = self.published.take();
        self.published = matches!(outcome, Ok(true)).then_some(in_force);
        if let Some(old) = old {
            free(old.schedule).await;
        }
        match outcome {
            Ok(true) => {
                self.end_trouble(None);
                None
            }
            Ok(false) => {
                self.end_trouble(None);
                Some(LEASE_LOST)
            }
            Err(error) if error.is_partial() => {
                let key = self.store.entries();
                let problem = format!("cannot publish the entries in force in `{key}`: {error}");
                self.end_trouble(Some(problem));
                Some(REFUSED)
            }
            Err(error) => {
                let noted = self.outage.note::<()>(Err(error), self.clock.monotonic());
                noted.err()
            }
        }
    }

    /// Ends an outage and sets or clears the problem.
    fn end_trouble(&mut self, problem: Option<String>) {
        self.outage.end();
        self.health.set(HealthPart::Published, problem);
    }

    fn batch(&self) -> Batch<'_, S> {
        Batch::new(&self.store, &*self.clock)
    }

    /// Publishes the schedule. Returns `false` if the lease is lost.
    async fn publish(&self, in_force: &InForce) -> Result<bool, StoreError> {
        let new = &in_force.schedule;
        let known = self.published.as_ref();
        match known.filter(|it| it.doubts == in_force.doubts) {
            Some(old) => publish_changes(self.batch(), &old.schedule, new).await,
            None => publish_all(self.batch(), new).await,
        }
    }
}

/// Publishes the entries that Redis lacks and removes those that are not in `schedule`. Returns `false` if the
/// lease is lost.
async fn publish_all(
    mut batch: Batch<'_, impl Store>,
    schedule: &Schedule,
) -> Result<bool, StoreError> {
    let mut breath = Breath::default();
    let mut there = vec![false; schedule.entries().len()];
    let (mut from, mut is_last) = (None, false);
    while !is_last {
        let page = batch.store.published(from.as_deref()).await?;
        for (name, found) in page.digests {
            breath.entries(EFFORT).await;
            let known = str::from_utf8(&name).ok();
            let publication = match known.and_then(|name| schedule.find(name)) {
                Some((index, entry)) => {
                    there[index] = true;
                    set(entry, Some(&found))
                }
                None => Some(Publication { name, json: None }),
            };
            if !batch.add(publication).await? {
                return Ok(false);
            }
        }
        (is_last, from) = (page.next.is_none(), page.next);
    }
    for (entry, there) in schedule.entries().zip(there) {
        breath.entries(if there { 1 } else { EFFORT }).await;
        if !there && !batch.add(set(entry, None)).await? {
            return Ok(false);
        }
    }
    batch.send().await
}

/// Publishes the changes from `old`, which Redis has, to `new`. Returns `false` if the lease is lost.
async fn publish_changes(
    mut batch: Batch<'_, impl Store>,
    old: &Schedule,
    new: &Schedule,
) -> Result<bool, StoreError> {
    let mut breath = Breath::default();
    let mut before = old.entries().peekable();
    // Both schedules are sorted by name.
    for entry in new.entries() {
        breath.entry().await;
        while let Some(gone) = before.next_if(|it| it.name < entry.name) {
            breath.entry().await;
            if !batch.add(Some(removed(gone))).await? {
                return Ok(false);
            }
        }
        let before = before.next_if(|it| it.name == entry.name);
        if before.is_some_and(|before| Arc::ptr_eq(before, entry)) {
            continue;
        }
        breath.entries(EFFORT).await;
        // Entries that came from different lines of a file are different, but their JSON may be equal.
        let says_the_same =
            |before: &Arc<Entry>| PublishedEntry::of(before) == PublishedEntry::of(entry);
        if !before.is_some_and(says_the_same) && !batch.add(set(entry, None)).await? {
            return Ok(false);
        }
    }
    for gone in before {
        breath.entry().await;
        if !batch.add(Some(removed(gone))).await? {
            return Ok(false);
        }
    }
    batch.send().await
}

/// Frees a schedule if nobody else uses it, and yields meanwhile. Freeing very many entries takes long.
async fn free(schedule: Arc<Schedule>) {
    let mut breath = Breath::default();
    for entry in Arc::into_inner(schedule)
        .into_iter()
        .flat_map(Schedule::into_entries)
    {
        drop(entry);
        breath.entry().await;
    }
}

/// Returns the publication of an entry. `None` if Redis already has it, which the digest `found` shows.
fn set(entry: &Entry, found: Option<&str>) -> Option<Publication> {
    let json = PublishedEntry::json(entry);
    let is_there = found.is_some_and(|found| digest(json.as_bytes()) == found);
    (!is_there).then(|| Publication {
        name: entry.name.clone().into(),
        json: Some(json),
    })
}

fn removed(entry: &Entry) -> Publication {
    Publication {
        name: entry.name.clone().into(),
        json: None,
    }
}

/// Publications of the next call.
struct Batch<'s, S> {
    store: &'s S,
    clock: &'s dyn Clock,
    publications: Vec<Publication>,
    bytes: usize,
}

impl<'s, S: Store> Batch<'s, S> {
    fn new(store: &'s S, clock: &'s dyn Clock) -> Self {
        Self {
            store,
            clock,
            publications: vec![],
            bytes: 0,
        }
    }

    /// Adds a publication, unless it is `None`. Sends the batch first if it is full. Returns `false` if the lease
    /// is lost.
    async fn add(&mut self, publication: Option<Publication>) -> Result<bool, StoreError> {
        let Some(publication) = publication else {
            return Ok(true);
        };
        let json = publication.json.as_ref().map_or(0, String::len);
        let bytes = publication.name.len() + json;
        let is_full = self.publications.len() == ENTRIES || self.bytes + bytes > BYTES;
        if is_full && !self.send().await? {
            return Ok(false);
        }
        self.bytes += bytes;
        self.publications.push(publication);
        Ok(true)
    }

    /// Sends the batch, then rests for longer than the call took, so that a slow link is mostly free for fires.
    /// Returns `false` if the lease is lost.
    async fn send(&mut self) -> Result<bool, StoreError> {
        if self.publications.is_empty() {
            return Ok(true);
        }
        let started = self.clock.monotonic();
        let sent = self.store.publish(&self.publications).await;
        let taken = self.clock.monotonic().saturating_duration_since(started);
        self.publications.clear();
        self.bytes = 0;
        if matches!(sent, Ok(true)) {
            self.clock.sleep((REST * taken).min(LONGEST_REST)).await;
        }
        sent
    }
}

//! Records events in Redis for people to read. No loop waits for this. If Redis is away for long, events are
//! dropped; they are in the log too.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    time::timeout,
};

use crate::{
    clock::Clock,
    core::excerpt::excerpt,
    engine::{
        health::{Health, HealthPart},
        outage::Outage,
    },
    events::{Event, Events, Sink},
    store::{EventRecord, Store, StoreError},
};

/// Maximum number of events that wait to be written.
const WAITING: usize = 100;
/// Time limit for the last write when the process exits.
const LAST: Duration = Duration::from_millis(100);
/// Maximum number of entry names in one record.
const NAMES: usize = 20;

/// Turns the events that people want to read later into records and queues them.
struct JournalSink {
    clock: Arc<dyn Clock>,
    holder: String,
    records: Sender<EventRecord>,
}

impl Sink for JournalSink {
    fn note(&self, event: &Event<'_>) {
        let (verb, target, reason, count) = match event {
            Event::LeaseTaken { .. } => ("took_lease", None, None, None),
            Event::LeaseLost { reason } => ("lost_lease", None, Some(*reason), None),
            Event::LeaseReleased => ("released_lease", None, None, None),
            Event::RedisLost { error, lasting } if lasting.is_zero() => {
                ("lost_redis", None, Some(*error), None)
            }
            Event::RedisBack => ("reached_redis", None, None, None),
            Event::Reloaded(changes) if !changes.is_empty() => {
                ("reloaded", None, None, Some(changes.len()))
            }
            Event::ReloadRejected { report } => (
                "rejected_reload",
                None,
                None,
                Some(report.mistakes().count()),
            ),
            Event::ReloadGivenUp { .. } | Event::ReloadImpossible { .. } => {
                ("gave_up_reload", None, None, None)
            }
            Event::EntriesLeft { entries } => {
                let names = entries.iter().copied();
                (
                    "entries_left",
                    Some(listed(names)),
                    None,
                    Some(entries.len()),
                )
            }
            Event::EntriesForgotten { entries } => {
                let names = entries.iter().map(String::as_str);
                (
                    "forgot_entries",
                    Some(listed(names)),
                    None,
                    Some(entries.len()),
                )
            }
            _ => return,
        };
        // If the queue is full, Redis has been away for long. The log has the event.
        drop(self.records.try_send(EventRecord {
            at: self.clock.now(),
            actor: self.holder.clone(),
            verb: verb.to_owned(),
            target,
            reason: reason.map(|it| excerpt(it).into_owned()),
            count,
        }));
    }
}

/// Returns the first names as one text.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.take(NAMES).map(excerpt).collect();
    names.join(", ")
}

/// Writes the queued records to Redis.
pub(super) struct Journal<S> {
    store: S,
    clock: Arc<dyn Clock>,
    health: Health,
    outage: Outage,
    kept: Receiver<EventRecord>,
    /// The records of the next write.
    batch: Vec<EventRecord>,
}

impl<S: Store> Journal<S> {
    /// Returns the journal, and `events` with its sink added.
    pub(super) fn new(
        store: S,
        clock: &Arc<dyn Clock>,
        health: &Health,
        events: &Events,
    ) -> (Self, Events) {
        let (records, kept) = mpsc::channel(WAITING);
        let sink = JournalSink {
            clock: Arc::clone(clock),
            holder: store.holder().to_owned(),
            records,
        };
        let events = events.and(Arc::new(sink));
        let journal = Self {
            store,
            clock: Arc::clone(clock),
            health: health.clone(),
            outage: Outage::of(HealthPart::Journal, health, &events),
            kept,
            batch: vec![],
        };
        (journal, events)
    }

    /// Writes records as they arrive. Never returns.
    pub(super) async fn run(&mut self) {
        loop {
            if self.batch.is_empty() {
                self.kept.recv_many(&mut self.batch, WAITING).await;
            }
            let written = self.write().await;
            if let Err(pause) = self.outage.note(written, self.clock.monotonic()) {
                self.clock.sleep(pause).await;
            }
        }
    }

    /// Writes the remaining records, with a time limit.
    pub(super) async fn finish(mut self) {
        while let Ok(record) = self.kept.try_recv() {
            self.batch.push(record);
        }
        // The process exits whether the write succeeded or not.
        drop(timeout(LAST, self.write()).await);
    }

    /// Writes the batch. If the key has the wrong type or a right is missing, reports a problem and drops the
    /// batch.
    async fn write(&mut self) -> Result<(), StoreError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let problem = match self.store.note_events(&self.batch).await {
            Err(error) if error.is_partial() => {
                let key = self.store.events();
                Some(format!("cannot record events in `{key}`: {error}"))
            }
            outcome => {
                outcome?;
                None
            }
        };
        self.batch.clear();
        self.health.set(HealthPart::Journal, problem);
        Ok(())
    }
}

//! Logs the status of this process and of its entries on request.

use std::{collections::HashMap, pin::pin, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};

use crate::{
    core::{
        firing::{decide::next_to_fire, history::Progress},
        schedule::Schedule,
    },
    engine::{
        breath::Breath,
        command::{Reply, all, answer},
        dynamic::reading::merged,
        recurring::records::BATCH,
        run::Engine,
        snapshot::Snapshot,
    },
    events::{Event, Events},
    store::{Store, StoreError},
};

/// Logging the status of an entry takes as long as looking at this many entries.
const EFFORT: usize = 10;

impl<S: Store> Engine<S> {
    /// Handles requests forever. Logs the status of the process at once, and the status of the entries when Redis
    /// has answered. Requests that arrive meanwhile share the status of these entries.
    pub(super) async fn statuses(
        &self,
        mut requests: mpsc::Receiver<Reply<Snapshot>>,
        schedules: &watch::Sender<Arc<Schedule>>,
    ) {
        loop {
            answer(all(&mut requests).await, &self.report_process());
            let files = Arc::clone(&schedules.borrow());
            let mut entries = pin!(self.report_entries(&files));
            loop {
                tokio::select! {
                    () = &mut entries => break,
                    replies = all(&mut requests) => answer(replies, &self.report_process()),
                }
            }
        }
    }

    fn report_process(&self) -> Snapshot {
        let snapshot = self.health.snapshots().borrow().clone();
        let now = self.clock.monotonic();
        let entries = snapshot.entries.as_ref();
        self.events.emit(&Event::Status {
            leading: snapshot.term.is_some(),
            leader: snapshot.leader.as_deref(),
            lease_left: snapshot.term.map(|term| term.remaining(now)),
            skew: snapshot.skew,
            quarantined: snapshot.quarantined,
            paused: entries.map(|it| it.paused),
            next: entries.and_then(|it| it.next.as_ref().map(|(at, name)| (name.as_str(), *at))),
            problems: &snapshot.problems,
        });
        snapshot
    }

    async fn report_entries(&self, files: &Schedule) {
        if let Err(error) = self.read_and_report(files).await {
            let error = &error.to_string();
            self.events.emit(&Event::EntryStatusUnknown { error });
        }
    }

    async fn read_and_report(&self, files: &Schedule) -> Result<(), StoreError> {
        let store = self.store.with_own_connection();
        let schedule = match &self.options.dynamic {
            Some(context) => match merged(&store, files, context).await {
                // Dynamic entries have a problem. The health contains the reason.
                Err(error) if error.is_partial() => files,
                schedule => &schedule?,
            },
            None => files,
        };
        report_each(&store, schedule, self.clock.now(), &self.events).await
    }
}

/// Logs the status of each entry of `schedule`, computed from the records in Redis.
///
/// # Errors
/// [`StoreError`].
async fn report_each(
    store: &impl Store,
    schedule: &Schedule,
    now: DateTime<Utc>,
    events: &Events,
) -> Result<(), StoreError> {
    let records = store.records().await?;
    let enqueued = store.last_enqueued().await?;
    let mut outcomes = HashMap::new();
    let mut breath = Breath::default();
    for (index, entry) in schedule.entries().enumerate() {
        breath.entries(EFFORT).await;
        if index % BATCH == 0 {
            let names = schedule.entries().skip(index).take(BATCH);
            let names: Vec<_> = names.map(|it| it.name.clone()).collect();
            outcomes = store.last_outcomes(&names).await?;
        }
        let history = records.history(entry, records.first_seen(entry), now);
        let progress = Progress::resume(&entry.timing, history);
        events.emit(&Event::EntryStatus {
            entry,
            last_enqueued: enqueued.get(&entry.name).copied(),
            last_outcome: outcomes.get(&entry.name).copied(),
            next: next_to_fire(entry, progress, now),
        });
    }
    Ok(())
}

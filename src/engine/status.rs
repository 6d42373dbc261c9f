//! How this process is, and where its entries stand, when someone asks.

use std::{pin::pin, sync::Arc};

use tokio::sync::{mpsc, watch};

use crate::{
    core::schedule::Schedule,
    engine::{
        command::{Reply, all, answer},
        dynamic::reading::merged,
        run::Engine,
        snapshot::Snapshot,
        standing,
    },
    events::Event,
    store::{Store, StoreError},
};

impl<S: Store> Engine<S> {
    /// Answers each request, for ever: how this process is at once, and where the entries stand when Redis has said
    /// it. Requests that come meanwhile are answered with the same entries.
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
                // Health tells why.
                Err(error) if error.is_partial() => files,
                schedule => &schedule?,
            },
            None => files,
        };
        standing::report(&store, schedule, self.clock.now(), &self.events).await
    }
}

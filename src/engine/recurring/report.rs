//! Publishes the snapshot and the problems of the recurring loop after each pass.

use chrono::{DateTime, Utc};

use crate::{
    engine::{
        dynamic::Dynamic,
        health::{Health, HealthPart},
        recurring::{
            Recurring,
            summary::{Refused, Summary},
        },
        snapshot::EntriesSnapshot,
    },
    store::Store,
};

impl<S: Store> Recurring<S> {
    /// Returns the problems of dynamic entries as text.
    pub fn dynamic_trouble(&self) -> Option<String> {
        self.dynamic.as_ref().and_then(Dynamic::trouble)
    }

    /// Returns the number of entries with a fire that their queue rejects, or that is too early by Redis's clock.
    pub fn rejected(&self) -> usize {
        let Summary {
            rejected, early, ..
        } = Summary::of(&self.states);
        rejected.number + early.number
    }

    /// Publishes the state of the loop at `now`, while this process is the leader.
    pub(super) fn report(&mut self, now: DateTime<Utc>, health: &Health) {
        let summary = self
            .summary
            .get_or_insert_with(|| Summary::of(&self.states));
        let entry =
            |refused: &Refused| (refused.number > 0).then(|| &self.states[refused.first].entry);
        let number = summary.rejected.number;
        let rejected = entry(&summary.rejected).map(|first| {
            let (entry, queue) = (&first.name, first.job.queue());
            format!(
                "entries whose queue rejects their job: {number}, the first is {entry} (queue {queue})"
            )
        });
        let number = summary.early.number;
        let early = entry(&summary.early).map(|first| {
            let entry = &first.name;
            format!(
                "entries whose fire is too early by Redis' clock and waits: {number}, the first is {entry}"
            )
        });
        let next = self
            .agenda
            .next()
            .map(|(at, index)| (at, self.states[index].entry.name.clone()));
        let entries = EntriesSnapshot {
            total: self.states.len(),
            paused: summary.paused,
            rejected: summary.rejected.number + summary.early.number,
            next,
        };
        health.publish(|snapshot| snapshot.entries = Some(entries));
        health.set(HealthPart::Entries, rejected);
        health.set(HealthPart::EarlyFires, early);
        self.ahead.prune(now);
        health.set(HealthPart::Ahead, self.ahead.trouble());
        health.set(HealthPart::Lost, self.memory.trouble());
        health.set(HealthPart::Stamps, self.stamps_unreadable.clone());
        health.set(HealthPart::Dynamic, self.dynamic_trouble());
    }

    /// Clears the snapshot and the problems of entries. Only the leader has them.
    pub(super) fn report_nothing(health: &Health) {
        health.publish(|snapshot| snapshot.entries = None);
        for part in [
            HealthPart::Entries,
            HealthPart::EarlyFires,
            HealthPart::Ahead,
            HealthPart::Lost,
            HealthPart::Stamps,
            HealthPart::Dynamic,
        ] {
            health.set(part, None);
        }
    }
}

//! The trait `Store` on the model: each method calls the same script as `RedisStore`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use rescue_scheduler::{
    clock::Clock as _,
    core::firing::outcome::Outcome,
    store::{
        BatchLimit, Bucket, Destination, Due, EventRecord, Fire, FireOutcome, Heartbeat, Lease,
        Missed, MissedOutcome, MoveOutcome, Place, Publication, PublishedPage, RecordChange,
        Records, Store, StoreError, TimeRecord, digest,
    },
};
use tokio::time::timeout_at;

use super::{
    changing::{Changing, View},
    history::MissedOfModel,
    laws::Laws,
    model::Shot,
    network::ModelStore,
    world::{State, now},
};

impl ModelStore {
    /// Records for which time the process asks what is due: at most its own clock's when it first asks in a tick,
    /// because the clock may go back before the tick ends.
    fn note_asked(&self, now: DateTime<Utc>) {
        if self.asked_at.swap(now.timestamp_millis(), Relaxed) != now.timestamp_millis() {
            let asked_for = now.min(self.process.host.now()).timestamp();
            self.asked_for.store(asked_for, Relaxed);
        }
    }
}

/// How much longer than a leader a suspended process may act on files that were replaced.
const SUSPENDED: Duration = Duration::from_secs(10);

impl ModelStore {
    /// Checks a request against what the process knows, in runs in which schedules change.
    fn intend(&self, judge: impl FnOnce(&View, Duration) -> Result<(), String>) {
        let world = &mut *self.world();
        if let Some(changing) = &world.changing {
            let view = &changing.views[&self.process.number];
            let judged = judge(view, changing.patience + SUSPENDED);
            world.expect(judged);
        }
    }

    /// Records the dynamic entries of which the process knows whether they changed.
    fn note_listed(&self, entries: &BTreeMap<Vec<u8>, Vec<u8>>) {
        if let Some(changing) = &mut self.world().changing {
            let view = changing.views.get_mut(&self.process.number).unwrap();
            view.note_listed(entries);
        }
    }

    /// Records the dynamic entries that the process has read.
    fn note_read(&self, names: &[Vec<u8>], entries: &BTreeMap<Vec<u8>, Vec<u8>>) {
        if let Some(changing) = &mut self.world().changing {
            let view = changing.views.get_mut(&self.process.number).unwrap();
            view.note_read(names, entries, &changing.versions);
        }
    }

    fn judge_fires(&self, shots: &mut [Shot], now: DateTime<Utc>) {
        let world = &mut *self.world();
        let sent = world.model().now;
        let State {
            model,
            laws,
            courses,
        } = &world.state;
        let judged = match &world.changing {
            None => laws.judge_shots(shots, now),
            Some(changing) => {
                let number = self.process.number;
                let leads = changing.leads(model, number);
                let sent = leads.then_some(sent);
                for shot in shots.iter_mut() {
                    shot.sent = sent;
                }
                let Changing {
                    views,
                    versions,
                    patience,
                    ..
                } = changing;
                views[&number].judge_fires(shots, leads, now, courses, versions, *patience)
            }
        };
        world.expect(judged);
    }
}

impl Store for ModelStore {
    fn with_own_connection(&self) -> Self {
        Self::new(Arc::clone(&self.process))
    }

    fn server(&self) -> &'static str {
        "model"
    }

    fn holder(&self) -> &str {
        &self.process.identity.holder
    }

    fn lock(&self) -> String {
        "lock".to_owned()
    }

    fn fence(&self) -> String {
        unreachable!("no run loses a record of an entry and keeps others")
    }

    fn entries(&self) -> String {
        unreachable!("no run has a key of the wrong type, or takes a right away")
    }

    fn max_clock_skew(&self) -> Option<TimeDelta> {
        self.world().model().limits.clock_skew
    }

    fn correction(&self, _: TimeRecord, _: &str, _: DateTime<Utc>) -> String {
        // Only people read it.
        String::new()
    }

    async fn time(&self, _: Option<Heartbeat<'_>>) -> Result<DateTime<Utc>, StoreError> {
        self.call(|model| DateTime::from_timestamp_millis(model.now).unwrap())
            .await
    }

    async fn take_lease(
        &self,
        length: Duration,
        stuck_holder: Option<&str>,
        // The heartbeat, which only people read.
        _: Option<Heartbeat<'_>>,
    ) -> Result<(Lease, DateTime<Utc>), StoreError> {
        let us = self.process.identity.clone();
        let stuck = stuck_holder.unwrap_or_default().to_owned();
        self.call(move |model| {
            let time = DateTime::from_timestamp_millis(model.now).unwrap();
            (model.lease(&us, length, &stuck), time)
        })
        .await
    }

    async fn release_lease(&self) -> Result<bool, StoreError> {
        let us = self.process.identity.clone();
        self.call(move |model| model.release(&us)).await
    }

    async fn wait_for_handover(&self, timeout: Duration) -> Result<(), StoreError> {
        let deadline = now() + timeout;
        let released = Arc::clone(&self.world().model().released);
        loop {
            let changed = released.notified();
            let there = self.world().model().take_handover();
            if there || timeout_at(deadline, changed).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn records(&self) -> Result<Records, StoreError> {
        self.call(|model| model.records()).await
    }

    async fn records_of(&self, names: &[String]) -> Result<Records, StoreError> {
        let names = names.to_vec();
        self.call(move |model| model.records_of(&names)).await
    }

    async fn last_enqueued(&self) -> Result<HashMap<String, DateTime<Utc>>, StoreError> {
        // Only for status reports.
        Ok(HashMap::new())
    }

    async fn last_outcomes(&self, _: &[String]) -> Result<HashMap<String, Outcome>, StoreError> {
        // Only for status reports.
        Ok(HashMap::new())
    }

    async fn change_records(
        &self,
        changes: &[RecordChange],
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let us = self.process.identity.clone();
        self.intend(|view, patience| view.judge_changes(changes, patience));
        let (changes, now) = (changes.to_vec(), now.timestamp());
        self.call(move |model| model.change_records(&us, &changes, now))
            .await
    }

    async fn forget(
        &self,
        entries: &[(String, DateTime<Utc>)],
    ) -> Result<Option<Vec<String>>, StoreError> {
        let us = self.process.identity.clone();
        let entries = entries.iter();
        let entries: Vec<_> = entries
            .map(|(name, since)| (name.clone(), since.timestamp()))
            .collect();
        self.intend(|view, patience| view.judge_forget(&entries, patience));
        self.call(move |model| model.forget(&us, &entries)).await
    }

    async fn changed_entries(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.call(|model| model.changed_entries.iter().cloned().collect())
            .await
    }

    async fn dynamic_names(&self) -> Result<BTreeMap<Vec<u8>, String>, StoreError> {
        let entries = self.call(|model| model.dynamic_entries.clone()).await?;
        self.note_listed(&entries);
        let entries = entries.into_iter();
        Ok(entries.map(|(name, json)| (name, digest(&json))).collect())
    }

    async fn dynamic_entries_of(
        &self,
        names: &[Vec<u8>],
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        let asked_for = names.to_vec();
        let read = self.call(move |model| {
            let mut entries = model.dynamic_entries.clone();
            entries.retain(|name, _| asked_for.contains(name));
            entries
        });
        let entries = read.await?;
        self.note_read(names, &entries);
        Ok(entries)
    }

    async fn ack_changes(&self, changes: &[(Vec<u8>, Vec<u8>)]) -> Result<bool, StoreError> {
        let us = self.process.identity.clone();
        self.intend(|view, _| view.judge_settle(changes));
        let changes = changes.to_vec();
        self.call(move |model| model.ack_changes(&us, &changes))
            .await
    }

    async fn published(&self, _: Option<&str>) -> Result<PublishedPage, StoreError> {
        let published = self.call(|model| model.published.clone()).await?;
        let digest = |(name, json): (Vec<u8>, String)| (name, digest(json.as_bytes()));
        Ok(PublishedPage {
            digests: published.into_iter().map(digest).collect(),
            next: None,
        })
    }

    async fn publish(&self, publications: &[Publication]) -> Result<bool, StoreError> {
        let us = self.process.identity.clone();
        let publications = publications.to_vec();
        self.call(move |model| model.publish(&us, &publications))
            .await
    }

    async fn fire(
        &self,
        fires: &[Fire<'_>],
        now: DateTime<FixedOffset>,
    ) -> Result<Option<Vec<FireOutcome>>, StoreError> {
        let us = self.process.identity.clone();
        let mut shots: Vec<Shot> = fires.iter().map(Shot::from).collect();
        self.judge_fires(&mut shots, now.to_utc());
        let at = now.timestamp_millis();
        self.call(move |model| model.fire(&us, &shots, at)).await
    }

    async fn note_missed(
        &self,
        missed: &[Missed<'_>],
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<MissedOutcome>>, StoreError> {
        let us = self.process.identity.clone();
        let missed: Vec<MissedOfModel> = missed.iter().map(MissedOfModel::from).collect();
        let at = now.timestamp_millis();
        self.call(move |model| model.note_missed(&us, &missed, at))
            .await
    }

    async fn is_any_due(
        &self,
        now: DateTime<Utc>,
        from: Option<&Place>,
    ) -> Result<bool, StoreError> {
        self.note_asked(now);
        let from = from.cloned();
        self.call(move |model| model.is_any_due(now.timestamp(), from.as_ref()))
            .await
    }

    async fn due(
        &self,
        now: DateTime<Utc>,
        limit: BatchLimit,
        from: Option<&Place>,
    ) -> Result<Option<Due>, StoreError> {
        self.note_asked(now);
        let us = self.process.identity.clone();
        let from = from.cloned();
        self.call(move |model| model.due(&us, now.timestamp(), limit, from.as_ref()))
            .await
    }

    async fn before(
        &self,
        place: &Place,
        skip: usize,
        count: usize,
    ) -> Result<Vec<(Vec<u8>, String)>, StoreError> {
        let place = place.clone();
        self.call(move |model| model.before(&place, skip, count))
            .await
    }

    async fn move_batch(
        &self,
        buckets: &[Bucket],
        targets: &[Destination],
    ) -> Result<Option<Vec<MoveOutcome>>, StoreError> {
        let us = self.process.identity.clone();
        let (buckets, targets) = (buckets.to_vec(), targets.to_vec());
        let judged = Laws::judge_buckets(&buckets, self.asked_for.load(Relaxed));
        self.world().expect(judged);
        let moved = self.call(move |model| model.move_batch(&us, &buckets, &targets));
        moved.await?.map_err(|reason| StoreError::Corrupt {
            server: "model".to_owned(),
            key: "a bucket".to_owned(),
            reason,
        })
    }

    async fn set_aside(
        &self,
        member: &[u8],
        before: usize,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<MoveOutcome>, StoreError> {
        let us = self.process.identity.clone();
        let (member, reason) = (member.to_vec(), reason.to_owned());
        self.call(move |model| model.set_aside(&us, &member, before, &reason, now))
            .await
    }

    async fn note_events(&self, _: &[EventRecord]) -> Result<(), StoreError> {
        // Only people read them.
        Ok(())
    }

    fn events(&self) -> String {
        unreachable!("they can always be noted")
    }

    async fn quarantined(&self) -> Result<usize, StoreError> {
        self.call(|model| model.quarantine.len()).await
    }

    async fn take_jobs(&self, queues: &[&str]) -> Result<Vec<bool>, StoreError> {
        let queues: Vec<String> = queues.iter().map(|it| (*it).to_owned()).collect();
        self.call(move |model| {
            let takes = |queue| !model.broken.contains(queue);
            queues.iter().map(takes).collect()
        })
        .await
    }
}

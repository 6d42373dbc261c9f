//! The trait `Store` on the model: which script each method calls, as `RedisStore` does.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use chrono::{DateTime, FixedOffset, Utc};
use rescue_scheduler::{
    clock::Clock as _,
    store::{
        BatchEnd, BatchLimit, Bucket, Due, Fire, FireOutcome, Lease, MoveOutcome, Records, Store,
        StoreError, Target,
    },
};
use tokio::time::timeout_at;

use super::{
    laws::Laws,
    model::Shot,
    network::{ModelStore, now},
};

impl Store for ModelStore {
    fn apart(&self) -> Self {
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

    async fn take_lease(
        &self,
        length: Duration,
        stuck_holder: Option<&str>,
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

    async fn last_enqueued(&self) -> Result<HashMap<String, DateTime<Utc>>, StoreError> {
        // Only people ask for it.
        Ok(HashMap::new())
    }

    async fn record_seen(
        &self,
        first: &[(String, String)],
        gone: &[String],
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let us = self.process.identity.clone();
        let (first, gone, now) = (first.to_vec(), gone.to_vec(), now.timestamp());
        self.call(move |model| model.record_seen(&us, &first, &gone, now))
            .await
    }

    async fn changed_entries(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.call(|model| model.changed_entries.iter().cloned().collect())
            .await
    }

    async fn dynamic_entries(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        self.call(|model| model.dynamic_entries.clone()).await
    }

    async fn settle_changes(&self, changes: &[(Vec<u8>, Vec<u8>)]) -> Result<bool, StoreError> {
        let us = self.process.identity.clone();
        let changes = changes.to_vec();
        self.call(move |model| model.settle_changes(&us, &changes))
            .await
    }

    async fn fire(
        &self,
        fires: &[Fire<'_>],
        now: DateTime<FixedOffset>,
    ) -> Result<Option<Vec<FireOutcome>>, StoreError> {
        let us = self.process.identity.clone();
        let shots: Vec<Shot> = fires.iter().map(Shot::from).collect();
        let judged = self.world().state.laws.judge_shots(&shots, now.to_utc());
        self.world().expect(judged);
        self.call(move |model| model.fire(&us, &shots)).await
    }

    async fn due(
        &self,
        now: DateTime<Utc>,
        limit: BatchLimit,
        without: &HashSet<Vec<u8>>,
        behind: Option<&BatchEnd>,
    ) -> Result<Option<Due>, StoreError> {
        // What it takes to be due may be no later than its own clock.
        let asked_for = now.min(self.process.host.now()).timestamp();
        self.asked_for.store(asked_for, Relaxed);
        let us = self.process.identity.clone();
        let (without, behind) = (without.clone(), behind.cloned());
        self.call(move |model| model.due(&us, now.timestamp(), limit, &without, behind.as_ref()))
            .await
    }

    async fn move_batch(
        &self,
        buckets: &[Bucket],
        targets: &[Target],
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
}

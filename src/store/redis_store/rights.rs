//! Which queues our user may not write. Redis refuses a whole script for one key, and does not say which.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, FixedOffset};

use crate::{
    core::excerpt::excerpt,
    store::{
        error::StoreError,
        port::{
            delayed::{Bucket, MoveOutcome, Target},
            fires::{Fire, FireOutcome},
        },
        redis_store::{RedisStore, part::Part},
        scripts::{r#move as moves, probe},
    },
};

impl RedisStore {
    /// Of `queues`, those whose keys our user may not write, with the reason: the others are ruled out by
    /// halves.
    ///
    /// # Errors
    /// [`StoreError`], other than that a key is denied.
    pub(super) async fn denied(
        &self,
        queues: BTreeSet<&str>,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let queues: Vec<&str> = queues.into_iter().collect();
        let (mut doubtful, mut denied) = (vec![&queues[..]], BTreeMap::new());
        while let Some(queues) = doubtful.pop() {
            let Some(first) = queues.first() else {
                continue;
            };
            let probe = probe::call(&self.keys, queues);
            let key = self.keys.queue(first);
            match self.connection.script::<u8>(&probe, &key).await {
                Ok(_) => {}
                Err(StoreError::Denied { .. }) if queues.len() > 1 => {
                    let (one, other) = queues.split_at(queues.len() / 2);
                    doubtful.extend([other, one]);
                }
                Err(StoreError::Denied { .. }) => {
                    let reason = format!("NOPERM: our user may not write `{key}`");
                    denied.insert((*first).to_owned(), excerpt(&reason).into_owned());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(denied)
    }

    /// Enqueues fires; those whose queue our user may not write are rejected.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn fire_what_is_allowed(
        &self,
        fires: &[Fire<'_>],
        now: DateTime<FixedOffset>,
    ) -> Result<Option<Vec<FireOutcome>>, StoreError> {
        let outcome = self.send_fires(fires, now).await;
        let Err(error @ StoreError::Denied { .. }) = outcome else {
            return outcome;
        };
        let denied = self
            .denied(fires.iter().map(|it| it.queue).collect())
            .await?;
        if denied.is_empty() {
            return Err(error);
        }
        let allowed = fires.iter().filter(|it| !denied.contains_key(it.queue));
        let allowed: Vec<Fire<'_>> = allowed.cloned().collect();
        let Some(outcomes) = self.send_fires(&allowed, now).await? else {
            return Ok(None);
        };
        let mut outcomes = outcomes.into_iter();
        let outcome = |fire: &Fire<'_>| match denied.get(fire.queue) {
            Some(reason) => Some(FireOutcome::Rejected(reason.clone())),
            None => outcomes.next(),
        };
        Ok(Some(fires.iter().filter_map(outcome).collect()))
    }

    /// Moves a batch; items whose queue our user may not write stay, and so does what is behind them in their
    /// buckets.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn move_what_is_allowed(
        &self,
        buckets: &[Bucket],
        targets: &[Target],
    ) -> Result<Option<Vec<MoveOutcome>>, StoreError> {
        if targets.len() > moves::MOST_QUEUES {
            let queues = moves::queues(targets).into_iter();
            let rest = queues.skip(moves::MOST_QUEUES);
            let rest = rest.map(|queue| (queue.to_owned(), MoveOutcome::Left));
            return self
                .send_moves_without(rest.collect(), buckets, targets)
                .await;
        }
        let outcome = self.send_moves(buckets, targets).await;
        let Err(error @ StoreError::Denied { .. }) = outcome else {
            return outcome;
        };
        let denied = self.denied(moves::queues(targets)).await?;
        if denied.is_empty() {
            return Err(error);
        }
        let denied = denied.into_iter();
        let denied = denied.map(|(queue, reason)| (queue, MoveOutcome::Denied(reason)));
        self.send_moves_without(denied.collect(), buckets, targets)
            .await
    }

    /// The same without the items for the queues in `held`.
    async fn send_moves_without(
        &self,
        held: BTreeMap<String, MoveOutcome>,
        buckets: &[Bucket],
        targets: &[Target],
    ) -> Result<Option<Vec<MoveOutcome>>, StoreError> {
        let part = Part::without(&held, buckets, targets);
        let outcomes = if part.buckets.is_empty() {
            Some(vec![])
        } else {
            self.send_moves(&part.buckets, &part.targets).await?
        };
        Ok(outcomes.map(|it| part.outcomes(it)))
    }
}

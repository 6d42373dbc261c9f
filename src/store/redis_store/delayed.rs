//! Delayed jobs: reads due jobs and moves them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::store::{
    error::StoreError,
    port::delayed::{BatchLimit, Bucket, Destination, Due, MoveOutcome, Place},
    redis_store::RedisStore,
    scripts::{
        due::{self, DueReply},
        r#move::{self as moves, NotMoved},
    },
};

impl RedisStore {
    pub(super) async fn read_due(
        &self,
        now: DateTime<Utc>,
        limit: BatchLimit,
        from: Option<&Place>,
    ) -> Result<Option<Due>, StoreError> {
        let limit = BatchLimit {
            item: limit.item.min(self.limits.item),
            ..limit
        };
        let call = due::call(&self.keys, &self.identity.holder, now, limit, from);
        let reply: Option<DueReply> = self
            .connection
            .script(&call, &self.keys.delayed_schedule())
            .await?;
        let reply = self.reconnect_if_lost(reply).await;
        Ok(reply.map(|reply| reply.due(now, from)))
    }

    pub(super) async fn write_moves(
        &self,
        buckets: &[Bucket],
        targets: &[Destination],
    ) -> Result<Option<Vec<MoveOutcome>>, StoreError> {
        if targets.len() > moves::MOST_QUEUES {
            self.send_some_moves(buckets, targets).await
        } else {
            self.send_moves(buckets, targets).await
        }
    }

    /// Calls `move.lua` once.
    async fn send_moves(
        &self,
        buckets: &[Bucket],
        targets: &[Destination],
    ) -> Result<Option<Vec<MoveOutcome>>, StoreError> {
        let (holder, limits) = (&self.identity.holder, self.limits);
        let (skew, quarantine) = (limits.clock_skew, limits.quarantine);
        let call = moves::call(&self.keys, holder, skew, quarantine, buckets, targets);
        let key = self.keys.delayed_schedule();
        let not_moved: Option<NotMoved> = self.connection.script(&call, &key).await?;
        let outcomes = not_moved.map(|it| it.among(targets.len()));
        Ok(self.reconnect_if_lost(outcomes).await)
    }

    /// Moves a batch that has more queues than one call can name. Items for the other queues stay for now.
    async fn send_some_moves(
        &self,
        buckets: &[Bucket],
        targets: &[Destination],
    ) -> Result<Option<Vec<MoveOutcome>>, StoreError> {
        let queues = moves::queues(targets).into_iter();
        let others: BTreeSet<&str> = queues.skip(moves::MOST_QUEUES).collect();
        let is_other = |target: &Destination| match target {
            Destination::Queue { name, .. } => others.contains(&**name),
            Destination::Quarantine { .. } | Destination::Stay { .. } => false,
        };
        let sent = targets.iter().map(|target| {
            if is_other(target) {
                let reason = String::new();
                Destination::Stay { reason }
            } else {
                target.clone()
            }
        });
        let outcomes = self.send_moves(buckets, &sent.collect::<Vec<_>>()).await?;
        let of = |(target, outcome)| match outcome {
            MoveOutcome::Stays if is_other(target) => MoveOutcome::Left,
            outcome => outcome,
        };
        Ok(outcomes.map(|outcomes| targets.iter().zip(outcomes).map(of).collect()))
    }
}

//! A batch without the items whose queues cannot be written.

use std::collections::BTreeMap;

use crate::store::{
    port::delayed::{Bucket, MoveOutcome, Target},
    scripts::r#move::queue,
};

/// What is sent of a batch, and what became of the rest.
pub(super) struct Part {
    pub(super) buckets: Vec<Bucket>,
    pub(super) targets: Vec<Target>,
    /// Of each item of the whole batch; `None`: it is sent.
    outcomes: Vec<Option<MoveOutcome>>,
}

impl Part {
    /// The batch without the items for the queues in `held`, which say what becomes of these; and without
    /// what stands behind them in their buckets.
    pub(super) fn without(
        held: &BTreeMap<String, MoveOutcome>,
        buckets: &[Bucket],
        targets: &[Target],
    ) -> Self {
        let mut part = Self {
            buckets: vec![],
            targets: vec![],
            outcomes: vec![],
        };
        let mut targets = targets.iter();
        for bucket in buckets {
            let ours = targets.by_ref().take(bucket.items.len());
            let ours: Vec<&Target> = ours.collect();
            let is_held = |target: &&Target| queue(target).is_some_and(|it| held.contains_key(it));
            let sent = ours.iter().position(is_held).unwrap_or(ours.len());
            let (first, behind) = ours.split_at(sent);
            part.targets.extend(first.iter().map(|it| (*it).clone()));
            part.outcomes.extend(first.iter().map(|_| None));
            if let Some((head, behind)) = behind.split_first() {
                let outcome = queue(head).and_then(|queue| held.get(queue)).cloned();
                part.outcomes.push(outcome);
                let left = behind.iter().map(|_| Some(MoveOutcome::Left));
                part.outcomes.extend(left);
            }
            if sent > 0 || behind.is_empty() {
                let items = bucket.items[..sent].to_vec();
                part.buckets.push(Bucket {
                    items,
                    ..bucket.clone()
                });
            }
        }
        part
    }

    /// The outcomes of the whole batch, from those of what was sent.
    pub(super) fn outcomes(self, sent: Vec<MoveOutcome>) -> Vec<MoveOutcome> {
        let mut sent = sent.into_iter();
        let outcome = |it: Option<MoveOutcome>| it.or_else(|| sent.next());
        let outcomes = self.outcomes.into_iter().map(outcome);
        outcomes.map(|it| it.unwrap_or(MoveOutcome::Left)).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn to(queue: &str) -> Target {
        Target::Queue {
            name: queue.to_owned(),
            payload: "{}".to_owned(),
        }
    }

    fn bucket(member: &str, items: usize) -> Bucket {
        Bucket {
            member: member.into(),
            due: DateTime::UNIX_EPOCH,
            items: vec![b"item".to_vec(); items],
        }
    }

    #[test]
    fn what_stands_behind_a_held_item_in_its_bucket_is_not_sent() {
        let denied = MoveOutcome::Denied("why".to_owned());
        let held = BTreeMap::from([("bad".to_owned(), denied.clone())]);
        let buckets = [
            bucket("1", 3),
            bucket("2", 1),
            bucket("3", 0),
            bucket("4", 2),
        ];
        let targets = ["good", "bad", "good", "bad", "good", "good"].map(to);
        let part = Part::without(&held, &buckets, &targets);
        let sent = [bucket("1", 1), bucket("3", 0), bucket("4", 2)];
        assert_eq!(part.buckets, sent);
        assert_eq!(part.targets, [to("good"), to("good"), to("good")]);
        let moved = MoveOutcome::Moved;
        assert_eq!(
            part.outcomes(vec![moved.clone(), moved.clone(), MoveOutcome::Left]),
            [
                moved.clone(),
                denied.clone(),
                MoveOutcome::Left,
                denied,
                moved,
                MoveOutcome::Left
            ]
        );
    }
}

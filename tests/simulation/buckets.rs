//! Delayed jobs of the model: the scripts that read and move them, and what apps do.

use chrono::{DateTime, Utc};
use rescue_scheduler::store::{
    BatchLimit, Bucket, Destination, Due, Identity, MoveOutcome, Passed, Place,
};

use super::model::{Change, Model, WRONG_TYPE};

/// The error of the scripts when the quarantine is full.
const FULL: &str = "the quarantine is full";

impl Model {
    /// `ZRANGEBYSCORE` from a place on.
    pub fn is_any_due(&self, now: i64, from: Option<&Place>) -> bool {
        self.due_members(now, from).next().is_some()
    }

    /// `ZRANGEBYSCORE` up to a place.
    pub fn before(&self, place: &Place, skip: usize, count: usize) -> Vec<(Vec<u8>, String)> {
        let behind: i64 = place.score.parse().unwrap();
        let before = self.schedule.iter().filter(|(score, _)| *score < behind);
        let named = before.map(|(score, member)| (member.clone(), score.to_string()));
        named.skip(skip).take(count).collect()
    }

    /// Returns the due buckets from a place on.
    fn due_members(&self, now: i64, from: Option<&Place>) -> impl Iterator<Item = &(i64, Vec<u8>)> {
        let oldest = from.map_or(i64::MIN, |from| from.score.parse().unwrap());
        let due = self.schedule.iter();
        due.filter(move |(score, _)| (oldest..=now).contains(score))
            .skip(from.map_or(0, |from| from.before))
    }

    /// `due.lua`.
    pub fn due(
        &self,
        us: &Identity,
        now: i64,
        limit: BatchLimit,
        from: Option<&Place>,
    ) -> Option<Due> {
        if self.holder() != Some(&us.holder) {
            return None;
        }
        let (mut chunk_size, mut left) = (1, limit);
        let mut batch = Due::default();
        let mut from_here = from;
        for (score, member) in self.due_members(now, from) {
            let held = self.buckets.get(member).map_or(&[][..], Vec::as_slice);
            let from = from_here.take().filter(|from| from.member == *member);
            let held = held
                .get(from.map_or(0, |it| it.items)..)
                .unwrap_or_default();
            let broken = self.broken_buckets.contains(member);
            let (items, too_large) = if broken {
                (vec![], None)
            } else {
                read(
                    held,
                    self.limits.item.min(limit.item),
                    &mut chunk_size,
                    &mut left,
                )
            };
            let passed = from.filter(|_| !broken).and_then(|from| {
                let last = from.staying.clone()?;
                let items = from.items;
                Some(Passed { items, last })
            });
            let before = self.schedule.iter().filter(|(it, _)| it == score);
            batch.last = Some(Place {
                member: member.clone(),
                score: score.to_string(),
                before: before.take_while(|(_, it)| it != member).count(),
                items: items.len() + passed.as_ref().map_or(0, |it| it.items),
                staying: None,
            });
            if let Some(bytes) = too_large {
                batch.too_large.push((member.clone(), bytes));
            }
            if broken {
                let reason = WRONG_TYPE.to_owned();
                batch.unreadable.push((member.clone(), reason));
            } else if too_large.is_none() || !items.is_empty() || passed.is_some() {
                batch.buckets.push(Bucket {
                    member: member.clone(),
                    due: DateTime::from_timestamp(*score, 0).unwrap(),
                    items,
                    passed,
                });
            }
            left.count = left.count.saturating_sub(1);
            if left.count == 0 || left.bytes == 0 {
                batch.full = true;
                break;
            }
        }
        Some(batch)
    }

    /// `aside.lua`.
    pub fn set_aside(
        &mut self,
        us: &Identity,
        member: &[u8],
        before: usize,
        reason: &str,
        at: DateTime<Utc>,
    ) -> Option<MoveOutcome> {
        if self.holder() != Some(&us.holder) {
            return None;
        }
        if self.broken_buckets.contains(member) {
            return Some(MoveOutcome::Rejected(WRONG_TYPE.to_owned()));
        }
        let mut held = self.buckets.get(member).cloned().unwrap_or_default();
        let Some(item) = held.get(before).filter(|it| it.len() > self.limits.item) else {
            return Some(MoveOutcome::Left);
        };
        if self.quarantine.len() >= self.limits.quarantine {
            return Some(MoveOutcome::Rejected(FULL.to_owned()));
        }
        let reason = reason.to_owned();
        self.record(member, item, &Destination::Quarantine { reason, at });
        held.remove(before);
        self.put_bucket(member, held);
        Some(MoveOutcome::Moved)
    }

    /// `move.lua`. Returns an error at a bucket that is not a list; the buckets before it were moved.
    pub fn move_batch(
        &mut self,
        us: &Identity,
        buckets: &[Bucket],
        targets: &[Destination],
    ) -> Result<Option<Vec<MoveOutcome>>, String> {
        if self.holder() != Some(&us.holder) {
            return Ok(None);
        }
        for target in targets {
            if let Destination::Queue { name, .. } = target {
                self.queue_names.insert(name.clone());
            }
        }
        let (all, mut outcomes, mut targets) = (targets.len(), vec![], targets.iter());
        let mut passed = buckets.first().and_then(|it| it.passed.as_ref());
        for Bucket { member, items, .. } in buckets {
            let timestamp = str::from_utf8(member).unwrap().parse().unwrap();
            let listed = self.schedule.contains(&(timestamp, member.clone()));
            if !items.is_empty() && listed && self.is_early(timestamp) {
                outcomes.resize(all, MoveOutcome::TooEarly);
                break;
            }
            if self.broken_buckets.contains(member) {
                return Err(WRONG_TYPE.to_owned());
            }
            let held = self.buckets.get(member).cloned().unwrap_or_default();
            let passed = passed.take();
            let mut left = held.clone();
            let mut at = passed.map_or(0, |it| it.items);
            let is_there = passed.is_none_or(|it| held.get(at - 1) == Some(&it.last));
            let mut taken = 0;
            for (item, target) in items.iter().zip(&mut targets) {
                if !is_there || held.get(at) != Some(item) {
                    outcomes.push(MoveOutcome::Left);
                    continue;
                }
                outcomes.push(match self.push(member, item, target) {
                    Ok(()) if matches!(target, Destination::Stay { .. }) => MoveOutcome::Stays,
                    Ok(()) => {
                        left.remove(at - taken);
                        taken += 1;
                        MoveOutcome::Moved
                    }
                    Err(reason) => MoveOutcome::Rejected(reason.to_owned()),
                });
                at += 1;
            }
            if passed.is_none() || taken > 0 {
                self.put_bucket(member, left);
            }
        }
        Ok(Some(outcomes))
    }

    /// `RPUSH` to the target.
    fn push(
        &mut self,
        member: &[u8],
        item: &[u8],
        target: &Destination,
    ) -> Result<(), &'static str> {
        match target {
            Destination::Queue { name, .. } if self.broken.contains(name) => {
                return Err(WRONG_TYPE);
            }
            Destination::Queue { name, payload } => {
                let queue = self.queues.entry(name.clone()).or_default();
                queue.push(payload.clone());
            }
            Destination::Quarantine { .. } if self.quarantine.len() >= self.limits.quarantine => {
                return Err(FULL);
            }
            Destination::Quarantine { .. } => {}
            Destination::Stay { .. } => return Ok(()),
        }
        self.record(member, item, target);
        Ok(())
    }

    /// Records that an item was moved, and adds it to the quarantine if it went there.
    fn record(&mut self, member: &[u8], item: &[u8], target: &Destination) {
        if let Destination::Quarantine { reason, .. } = target {
            self.quarantine.push((item.to_vec(), reason.clone()));
        }
        self.changes.push(Change::Moved {
            member: member.to_vec(),
            item: item.to_vec(),
            target: target.clone(),
        });
    }

    /// Sets the items of a bucket. Removes the bucket if there are none.
    fn put_bucket(&mut self, member: &[u8], items: Vec<Vec<u8>>) {
        if items.is_empty() {
            self.buckets.remove(member);
            self.schedule.retain(|(_, it)| it != member);
        } else {
            self.buckets.insert(member.to_vec(), items);
        }
    }

    /// An app adds a delayed item.
    pub fn delay(&mut self, timestamp: i64, item: &[u8]) {
        let member = timestamp.to_string().into_bytes();
        let bucket = self.buckets.entry(member.clone()).or_default();
        bucket.push(item.to_vec());
        self.schedule.insert((timestamp, member));
    }

    /// An app removes an item from a bucket. Returns how many there were.
    pub fn remove(&mut self, timestamp: i64, item: &[u8]) -> usize {
        let member = timestamp.to_string().into_bytes();
        let mut items = self.buckets.get(&member).cloned().unwrap_or_default();
        let before = items.len();
        items.retain(|it| it != item);
        let removed = before - items.len();
        if removed > 0 {
            self.put_bucket(&member, items);
        }
        removed
    }
}

/// Returns the items of a bucket that fit into the batch, and the size of an item behind them that is too large.
fn read(
    held: &[Vec<u8>],
    largest: usize,
    chunk_size: &mut usize,
    left: &mut BatchLimit,
) -> (Vec<Vec<u8>>, Option<usize>) {
    let mut items: Vec<Vec<u8>> = vec![];
    loop {
        let wanted = left.count.min(*chunk_size);
        let rest = &held[items.len()..];
        let (mut count, mut bytes, mut too_large) = (0, 0, None);
        for item in &rest[..wanted.min(rest.len())] {
            too_large = Some(item.len()).filter(|size| *size > largest);
            if too_large.is_some() || bytes >= left.bytes {
                break;
            }
            items.push(item.clone());
            count += 1;
            bytes += item.len();
        }
        let large = bytes > 4096 * count;
        *chunk_size = if large { 1 } else { (*chunk_size * 2).min(8) };
        let cost = bytes + too_large.unwrap_or_default();
        left.bytes = left.bytes.saturating_sub(cost);
        left.count -= count;
        if count < wanted || left.count == 0 || left.bytes == 0 {
            return (items, too_large);
        }
    }
}

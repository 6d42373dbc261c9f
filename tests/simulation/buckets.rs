//! The model's delayed jobs: the scripts that read and move them, and what apps do.

use std::collections::HashSet;

use chrono::DateTime;
use rescue_scheduler::store::{BatchEnd, BatchLimit, Bucket, Due, Identity, MoveOutcome, Target};

use super::model::{Change, Model, WRONG_TYPE};

impl Model {
    /// `ZRANGEBYSCORE`, and `due.lua` if anything is due or something is being moved.
    pub fn due(
        &self,
        us: &Identity,
        now: i64,
        limit: BatchLimit,
        without: &HashSet<Vec<u8>>,
        behind: Option<&BatchEnd>,
    ) -> Option<Due> {
        let oldest = behind.map_or(i64::MIN, |end| end.score.parse().unwrap());
        let due = self.schedule.iter();
        let mut due = due
            .filter(|(score, member)| (oldest..=now).contains(score) && !without.contains(member))
            .peekable();
        if behind.is_none() && due.peek().is_none() {
            return Some(Due::default());
        }
        if self.holder() != Some(&us.holder) {
            return None;
        }
        let (mut chunk_size, mut left) = (1, limit);
        let mut batch = Due::default();
        for (score, member) in due {
            let held = self.buckets.get(member).map_or(&[][..], Vec::as_slice);
            let passed = behind.filter(|end| end.member == *member);
            let held = held
                .get(passed.map_or(0, |it| it.items)..)
                .unwrap_or_default();
            let broken = self.broken_buckets.contains(member);
            let items = if broken {
                vec![]
            } else {
                read(held, &mut chunk_size, &mut left)
            };
            let end = BatchEnd {
                member: member.clone(),
                score: score.to_string(),
                items: items.len(),
            };
            if broken {
                batch
                    .unreadable
                    .push((member.clone(), WRONG_TYPE.to_owned()));
            } else {
                batch.buckets.push(Bucket {
                    member: member.clone(),
                    due: DateTime::from_timestamp(*score, 0).unwrap(),
                    items,
                });
            }
            left.count = left.count.saturating_sub(1);
            if left.count == 0 || left.bytes == 0 {
                batch.end = Some(end);
                break;
            }
        }
        Some(batch)
    }

    /// `move.lua`. An error: it met a bucket that is no list, and did what is before it.
    pub fn move_batch(
        &mut self,
        us: &Identity,
        buckets: &[Bucket],
        targets: &[Target],
    ) -> Result<Option<Vec<MoveOutcome>>, String> {
        if self.holder() != Some(&us.holder) {
            return Ok(None);
        }
        for target in targets {
            if let Target::Queue { name, .. } = target {
                self.queue_names.insert(name.clone());
            }
        }
        let (mut outcomes, mut targets) = (vec![], targets.iter());
        for Bucket { member, items, .. } in buckets {
            if self.broken_buckets.contains(member) {
                return Err(WRONG_TYPE.to_owned());
            }
            let held = self.buckets.get(member).cloned().unwrap_or_default();
            let (mut taken, mut rejected) = (0, false);
            for (item, target) in items.iter().zip(&mut targets) {
                let in_place = !rejected && held.get(taken) == Some(item);
                outcomes.push(if !in_place {
                    MoveOutcome::Left
                } else if self.push(member, item, target) {
                    taken += 1;
                    MoveOutcome::Moved
                } else {
                    rejected = true;
                    MoveOutcome::Rejected(WRONG_TYPE.to_owned())
                });
            }
            self.put_bucket(member, held[taken..].to_vec());
        }
        Ok(Some(outcomes))
    }

    /// `RPUSH` to the target; `false`: it is no list.
    fn push(&mut self, member: &[u8], item: &[u8], target: &Target) -> bool {
        match target {
            Target::Queue { name, .. } if self.broken.contains(name) => return false,
            Target::Queue { name, payload } => {
                let queue = self.queues.entry(name.clone()).or_default();
                queue.push(payload.clone());
            }
            Target::Quarantine { reason, .. } => {
                self.quarantine.push((item.to_vec(), reason.clone()));
            }
        }
        self.changes.push(Change::Moved {
            member: member.to_vec(),
            item: item.to_vec(),
            target: target.clone(),
        });
        true
    }

    /// Leaves `items` in a bucket; one that is empty is gone.
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

    /// An app removes an item from a bucket, wherever it stands. Returns how many there were.
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

/// As many items of a bucket as there is room for.
fn read(held: &[Vec<u8>], chunk_size: &mut usize, left: &mut BatchLimit) -> Vec<Vec<u8>> {
    let mut items = vec![];
    loop {
        let wanted = left.count.min(*chunk_size);
        let rest = &held[items.len()..];
        let chunk = &rest[..wanted.min(rest.len())];
        items.extend_from_slice(chunk);
        let bytes: usize = chunk.iter().map(Vec::len).sum();
        let large = bytes > 4096 * chunk.len();
        *chunk_size = if large { 1 } else { (*chunk_size * 2).min(64) };
        left.bytes = left.bytes.saturating_sub(bytes);
        left.count -= chunk.len();
        if chunk.len() < wanted || left.count == 0 || left.bytes == 0 {
            return items;
        }
    }
}

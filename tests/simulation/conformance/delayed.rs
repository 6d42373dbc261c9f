//! Random calls for delayed jobs.

use chrono::DateTime;
use redis::Commands as _;
use rescue_scheduler::store::{BatchLimit, Destination, Store as _};

use super::{Both, FUTURE, agree, told};

impl Both<'_> {
    pub async fn look(&mut self, who: usize) {
        let now = match self.rng.u8(0..4) {
            0 => FUTURE + 1,
            _ => self.rng.i64(0..8),
        };
        let now = DateTime::from_timestamp(now, 0).unwrap();
        let limit = BatchLimit {
            count: self.rng.usize(1..12),
            bytes: self.rng.choice([1, 60, 6_000, 1 << 20]).unwrap(),
            item: self.rng.choice([60, usize::MAX]).unwrap(),
        };
        let mut from = self.due.last.clone().filter(|_| self.rng.bool());
        if let Some(from) = &mut from
            && from.items > 0
            && self.rng.bool()
        {
            // The items of the last bucket stay, as far as they were read. The bucket may be another one by now.
            let last = self.due.buckets.last();
            let last = last.filter(|it| it.member == from.member);
            from.staying = last.and_then(|it| it.items.last()).cloned();
        }
        let from = from.as_ref();
        let _ = agree!(self, who, is_any_due(now, from), |it| it);
        if let Some(place) = from {
            let (skip, count) = (self.rng.usize(0..3), self.rng.usize(1..3));
            let _ = agree!(self, who, before(place, skip, count), |it| it);
        }
        let due = agree!(self, who, due(now, limit, from), |it| it);
        self.due = due.unwrap().unwrap_or_default();
        for (member, bytes) in &self.due.too_large {
            let reason = bytes.to_string();
            let before = match self.due.last.as_ref().filter(|it| it.member == *member) {
                Some(last) => last.items,
                None => self.rng.usize(0..3),
            };
            let _ = agree!(self, who, set_aside(member, before, &reason, now), |it| it);
        }
        let _ = agree!(self, who, quarantined(), |it| it);
        let _ = agree!(self, who, take_jobs(&["q", "r"]), |it| it);
    }

    /// Moves what was due at some earlier look, which may have changed since.
    pub async fn move_batch(&mut self, who: usize) {
        let rng = &mut self.rng;
        let target = |item: &Vec<u8>| match rng.u8(0..7) {
            5.. => Destination::Stay {
                reason: "a reason".to_owned(),
            },
            0 => Destination::Quarantine {
                reason: "a reason".to_owned(),
                at: DateTime::UNIX_EPOCH,
            },
            queue => Destination::Queue {
                name: ["q", "r"][usize::from(queue % 2)].to_owned(),
                // Either another text or, as in items that Ruby writes, a prefix of the item.
                payload: if rng.bool() {
                    format!("payload {}", rng.u32(..))
                } else {
                    format!("{}}}", str::from_utf8(&item[..item.len() / 2]).unwrap())
                },
            },
        };
        let targets: Vec<Destination> = self
            .due
            .buckets
            .iter()
            .flat_map(|it| &it.items)
            .map(target)
            .collect();
        let _ = agree!(self, who, move_batch(&self.due.buckets, &targets), |it| it);
    }

    /// Returns one of a few items, some of them large.
    fn an_item(&mut self) -> (i64, Vec<u8>) {
        let length = self
            .rng
            .choice([1, 1, 2, 3, 20, 5_000, 140_000, 160_000])
            .unwrap();
        let letter = self.rng.choice(*b"xyz").unwrap();
        let timestamp = match self.rng.u8(0..8) {
            0 => FUTURE,
            _ => self.rng.i64(0..6),
        };
        (timestamp, vec![letter; length])
    }

    pub fn delay(&mut self) {
        let (timestamp, item) = self.an_item();
        let member = timestamp.to_string().into_bytes();
        if self
            .world()
            .lock()
            .unwrap()
            .model()
            .broken_buckets
            .contains(&member)
        {
            return;
        }
        self.told.push(format!("delay {timestamp} {}", item.len()));
        for _ in 0..self.rng.u8(1..4) {
            self.world().lock().unwrap().model().delay(timestamp, &item);
            self.redis.delay(timestamp, &item);
        }
    }

    pub fn remove(&mut self) {
        let (timestamp, item) = self.an_item();
        let bucket = format!("resque:delayed:{timestamp}");
        let removed: redis::RedisResult<usize> = self.redis.connection.lrem(&bucket, 0, &item);
        let Ok(removed) = removed else { return };
        if !self.redis.connection.exists::<_, bool>(&bucket).unwrap() && removed > 0 {
            let schedule = "resque:delayed_queue_schedule";
            let () = self.redis.connection.zrem(schedule, timestamp).unwrap();
        }
        self.told.push(format!("remove {timestamp} {}", item.len()));
        let model = self
            .world()
            .lock()
            .unwrap()
            .model()
            .remove(timestamp, &item);
        assert_eq!(model, removed, "{:#?}", self.told);
    }
}

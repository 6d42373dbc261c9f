//! Random calls for records of entries, dynamic entries, and published entries.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use rescue_scheduler::store::{
    Away, Publication, PublishedPage, RecordChange, Records, Store as _,
};

use super::{Both, agree, told};

impl Both<'_> {
    /// A scheduler acknowledges a change that it has read, or believes to have read.
    pub async fn change_entries(&mut self, who: usize) {
        self.change_entry();
        let _ = agree!(self, who, changed_entries(), BTreeSet::from_iter);
        let _ = agree!(self, who, dynamic_names(), |it| it);
        let names = [self.rng.choice(["a", "b"]).unwrap().into(), b"c".to_vec()];
        let _ = agree!(self, who, dynamic_entries_of(&names), |it| it);
        let settled = |_| {
            let name = self.rng.choice(["a", "b", "c"]).unwrap();
            let read = self.rng.choice(["", "{}", "1"]).unwrap();
            (name.into(), read.into())
        };
        let settled: Vec<_> = (0..3).map(settled).collect();
        let settled = &settled[..self.rng.usize(0..=3)];
        let _ = agree!(self, who, ack_changes(settled), |it| it);
        let _ = agree!(self, who, changed_entries(), BTreeSet::from_iter);
    }

    /// A scheduler publishes or removes entries.
    pub async fn publish(&mut self, who: usize) {
        let rng = &mut self.rng;
        // Each name occurs only once.
        let publications: BTreeMap<_, _> = (0..rng.usize(0..4))
            .map(|_| (a_name(rng), rng.bool().then(|| rng.u8(0..3).to_string())))
            .collect();
        let publication = |(name, json): (String, Option<String>)| Publication {
            name: name.into(),
            json,
        };
        let publications: Vec<_> = publications.into_iter().map(publication).collect();
        let _ = agree!(self, who, publish(&publications), |it| it);
        let sorted = |page: PublishedPage| BTreeSet::from_iter(page.digests);
        let _ = agree!(self, who, published(None), sorted);
    }

    /// An app sets or removes a dynamic entry.
    fn change_entry(&mut self) {
        let name = self.rng.choice(["a", "b"]).unwrap();
        let json = self.rng.choice(["", "{}", "1"]).unwrap();
        let mut world = self.model[0].world();
        let model = world.model();
        let mut change = redis::pipe();
        if json.is_empty() {
            change.hdel("resque:persistent_schedules", name);
            model.put_dynamic(name.as_bytes(), None);
        } else {
            change.hset("resque:persistent_schedules", name, json);
            model.put_dynamic(name.as_bytes(), Some(json.as_bytes()));
        }
        change.sadd("resque:schedules_changed", name);
        model.changed_entries.insert(name.into());
        let () = change.query(&mut self.redis.connection).unwrap();
    }

    pub async fn change_records(&mut self, who: usize) {
        let rng = &mut self.rng;
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let changes: Vec<_> = (0..rng.usize(0..5)).map(|_| a_change(rng)).collect();
        let now = at(rng.i64(0..4));
        self.told.push(format!("{changes:?}"));
        let _ = agree!(self, who, change_records(&changes, now), |it| it);
        let left = |_| (a_name(&mut self.rng), at(self.rng.i64(0..4)));
        let left: Vec<_> = (0..2).map(left).collect();
        let _ = agree!(self, who, forget(&left), |it| it);
        let sorted = |it: Records| {
            let hashes = (BTreeMap::from_iter(it.seen), BTreeMap::from_iter(it.fired));
            let more = (BTreeMap::from_iter(it.fires), BTreeMap::from_iter(it.away));
            (hashes, more, it.enqueued_elsewhere)
        };
        let _ = agree!(self, who, records(), sorted);
        let names = [a_name(&mut self.rng), a_name(&mut self.rng)];
        let _ = agree!(self, who, records_of(&names), sorted);
    }
}

fn a_name(rng: &mut fastrand::Rng) -> String {
    rng.choice(["a", "b", "c"]).unwrap().to_owned()
}

/// Returns a change of an entry's records, which may be out of date.
fn a_change(rng: &mut fastrand::Rng) -> RecordChange {
    let name = a_name(rng);
    let mut at = || DateTime::from_timestamp(rng.i64(0..4), 0).unwrap();
    let (since, until) = (at(), at());
    let until = rng.bool().then_some(until);
    let timings = ["v1 every 1", "v1 cron * * * * * UTC"];
    let mut timing = || rng.choice(timings).unwrap().to_owned();
    let (one, other) = (timing(), timing());
    match rng.u8(0..4) {
        0 => RecordChange::First { name, timing: one },
        1 => RecordChange::Reworded {
            name,
            first_seen: since,
            old: one,
            new: other,
        },
        2 => {
            let was = rng.bool().then_some(Away { since, until });
            RecordChange::Left { name, was }
        }
        _ => RecordChange::Returned { name, since },
    }
}

//! Records of entries and dynamic entries of the model: the scripts that change them, and what apps do.

use chrono::DateTime;
use rescue_scheduler::store::{Away, Identity, Publication, RecordChange, Records};

use super::model::{Change, Model};

/// When an entry left the schedule, and when it returned, if it did.
pub type AwaySeconds = (i64, Option<i64>);

fn seconds(Away { since, until }: Away) -> AwaySeconds {
    (since.timestamp(), until.map(|it| it.timestamp()))
}

impl Model {
    /// Returns all records of entries.
    pub fn records(&self) -> Records {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let seen = self.seen.iter();
        Records {
            seen: seen
                .map(|(name, (since, timing))| (name.clone(), (at(*since), timing.as_str().into())))
                .collect(),
            fired: (self.fired.iter())
                .map(|(name, last)| (name.clone(), at(*last)))
                .collect(),
            fires: self.fires.clone().into_iter().collect(),
            away: (self.away.iter())
                .map(|(name, &(since, until))| {
                    let (since, until) = (at(since), until.map(at));
                    (name.clone(), Away { since, until })
                })
                .collect(),
            ..Records::default()
        }
    }

    /// Returns the records of the entries with these names.
    pub fn records_of(&self, names: &[String]) -> Records {
        let mut records = self.records();
        let asked_for = |name: &String| names.contains(name);
        records.seen.retain(|name, _| asked_for(name));
        records.fired.retain(|name, _| asked_for(name));
        records.fires.retain(|name, _| asked_for(name));
        records.away.retain(|name, _| asked_for(name));
        records
    }

    /// Whether this model has a record of each entry that `other` has.
    pub fn has_seen_all_of(&self, other: &Self) -> bool {
        other.seen.keys().all(|name| self.seen.contains_key(name))
    }

    /// `seen.lua`.
    pub fn change_records(&mut self, us: &Identity, changes: &[RecordChange], now: i64) -> bool {
        if self.holder() != Some(&us.holder) {
            return false;
        }
        for change in changes {
            self.change_record(change, now);
        }
        true
    }

    fn change_record(&mut self, change: &RecordChange, now: i64) {
        match change.clone() {
            RecordChange::First { name, timing } => {
                if self.seen.get(&name).is_none_or(|(_, held)| *held != timing) {
                    self.seen.insert(name.clone(), (now, timing.clone()));
                    self.fires.remove(&name);
                    self.away.remove(&name);
                    self.changes.push(Change::Seen { name, timing, now });
                }
            }
            RecordChange::Reworded {
                name,
                first_seen,
                old,
                new,
            } => {
                let first_seen = first_seen.timestamp();
                if self.seen.get(&name) == Some(&(first_seen, old)) {
                    self.seen.insert(name, (first_seen, new));
                }
            }
            RecordChange::Left { name, was } => {
                let (was, left) = (was.map(seconds), (now, None));
                if self.replace_away(&name, was, left) {
                    let since = now;
                    self.changes.push(Change::Left { name, was, since });
                }
            }
            RecordChange::Returned { name, since } => {
                let (since, until) = (since.timestamp(), now);
                if self.replace_away(&name, Some((since, None)), (since, Some(until))) {
                    self.changes.push(Change::Returned { name, since, until });
                }
            }
        }
    }

    fn replace_away(&mut self, name: &str, old: Option<AwaySeconds>, new: AwaySeconds) -> bool {
        let is_old = self.away.get(name).copied() == old;
        if is_old {
            self.away.insert(name.to_owned(), new);
        }
        is_old
    }

    /// `forget.lua`.
    pub fn forget(&mut self, us: &Identity, entries: &[(String, i64)]) -> Option<Vec<String>> {
        if self.holder() != Some(&us.holder) {
            return None;
        }
        let left = |(name, since): &&(String, i64)| self.away.get(name) == Some(&(*since, None));
        let left = entries.iter().filter(left).map(|(name, _)| name.clone());
        let names: Vec<String> = left.collect();
        for name in &names {
            self.seen.remove(name);
            self.fired.remove(name);
            self.fires.remove(name);
            self.away.remove(name);
            self.paused.remove(name);
            self.histories.remove(name);
            let name = name.clone();
            self.changes.push(Change::Forgotten { name });
        }
        Some(names)
    }

    /// `ack_changes.lua`.
    pub fn ack_changes(&mut self, us: &Identity, changes: &[(Vec<u8>, Vec<u8>)]) -> bool {
        if self.holder() != Some(&us.holder) {
            return false;
        }
        for (name, json) in changes {
            let held = self.dynamic_entries.get(name);
            if held.map_or(&b""[..], Vec::as_slice) == json && self.changed_entries.remove(name) {
                let (name, json) = (name.clone(), json.clone());
                self.changes.push(Change::Settled { name, json });
            }
        }
        true
    }

    /// `publish.lua`.
    pub fn publish(&mut self, us: &Identity, publications: &[Publication]) -> bool {
        if self.holder() != Some(&us.holder) {
            return false;
        }
        for Publication { name, json } in publications {
            match json {
                Some(json) => self.published.insert(name.clone(), json.clone()),
                None => self.published.remove(name),
            };
        }
        true
    }

    /// An app sets or removes a dynamic entry. Schedulers notice when the name is among the changed ones.
    pub fn put_dynamic(&mut self, name: &[u8], json: Option<&[u8]>) {
        match json {
            Some(json) => self.dynamic_entries.insert(name.into(), json.into()),
            None => self.dynamic_entries.remove(name),
        };
    }
}

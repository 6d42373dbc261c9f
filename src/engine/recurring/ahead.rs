//! Entries that Redis records as fired, or as first seen, at a time that is still to come: a clock was wrong
//! once. They do not fire before that time, which must not go unnoticed.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::{
    core::{
        schedule::{Schedule, entry::Entry},
        time::instant,
    },
    engine::breath::Breath,
    events::{Event, Events},
    store::{Records, Store, TimeRecord},
};

/// Clocks of two hosts may differ by this much.
const TOLERANCE: TimeDelta = TimeDelta::seconds(1);

/// Until when an entry is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Silence {
    until: DateTime<Utc>,
    /// The commands that end it, if no clock that may lead can have caused it.
    correction: Option<String>,
}

/// Entries that are ahead of the clock, by name.
#[derive(Debug, Default)]
pub(super) struct Ahead(BTreeMap<String, Silence>);

impl Ahead {
    /// Looks for such entries among these, and reports those that were not known to be.
    pub(super) async fn note<'e>(
        &mut self,
        store: &impl Store,
        entries: impl Iterator<Item = &'e Arc<Entry>>,
        records: &Records,
        now: DateTime<Utc>,
        events: &Events,
    ) {
        let mut breath = Breath::default();
        for entry in entries {
            breath.entry().await;
            let Some(silence) = silence(store, entry, records, now) else {
                self.0.remove(&entry.name);
                continue;
            };
            if self.0.get(&entry.name) != Some(&silence) {
                let (until, correction) = (silence.until, silence.correction.as_deref());
                events.emit(&Event::AheadOfClock {
                    entry,
                    until,
                    correction,
                });
            }
            self.0.insert(entry.name.clone(), silence);
        }
    }

    /// Forgets entries that are not in the schedule.
    pub(super) fn retain(&mut self, schedule: &Schedule) {
        self.0.retain(|name, _| schedule.get(name).is_some());
    }

    /// Forgets these entries.
    pub(super) fn forget(&mut self, names: &[String]) {
        for name in names {
            self.0.remove(name);
        }
    }

    /// Forgets entries whose time has come.
    pub(super) fn prune(&mut self, now: DateTime<Utc>) {
        let latest = instant::after(now, TOLERANCE);
        self.0.retain(|_, silence| silence.until > latest);
    }

    /// Which entries are silent, in words.
    pub(super) fn trouble(&self) -> Option<String> {
        let (entry, Silence { until, correction }) =
            self.0.iter().max_by_key(|(_, silence)| silence.until)?;
        let (number, until) = (
            self.0.len(),
            until.to_rfc3339_opts(SecondsFormat::Secs, true),
        );
        let correction = correction.as_ref().map_or_else(String::new, |correction| {
            format!("; to correct it, send `{correction}` to Redis and restart the leader")
        });
        Some(format!(
            "entries that wait because their last fire is recorded for a time in the future: {number}, the furthest is {entry} \
             (until {until}){correction}"
        ))
    }
}

fn silence(
    store: &impl Store,
    entry: &Entry,
    records: &Records,
    now: DateTime<Utc>,
) -> Option<Silence> {
    let name = &entry.name;
    let first_seen = records.seen.get(name).map(|(first_seen, _)| first_seen);
    let times = [
        (TimeRecord::LastFire, records.last_fire(name)),
        (
            TimeRecord::EnqueuedElsewhere,
            records.enqueued_elsewhere.get(name).copied(),
        ),
        (TimeRecord::FirstSeen, first_seen.copied()),
    ];
    let times = times.map(|(record, at)| (record, at.unwrap_or(now)));
    let until = times.iter().map(|(_, at)| *at).max()?;
    if until <= instant::after(now, TOLERANCE) {
        return None;
    }
    let max = store.max_clock_skew();
    let far = |at| max.is_some_and(|max| at > instant::after(now, max));
    let far = times.into_iter().filter(|(_, at)| far(*at));
    let corrections: Vec<String> = far
        .map(|(record, _)| store.correction(record, name, now))
        .collect();
    Some(Silence {
        until,
        correction: (!corrections.is_empty()).then(|| corrections.join("; ")),
    })
}

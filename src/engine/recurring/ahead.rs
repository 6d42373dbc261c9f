//! Entries whose last fire or first sighting is recorded in the future, because a clock was wrong. They do not fire
//! before that time, which is therefore logged and reported as a problem.

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

/// An entry that does not fire before a time in the future.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Silence {
    until: DateTime<Utc>,
    /// Redis commands that correct the records. `None` if the clock of a leader may have caused them.
    correction: Option<String>,
}

/// Entries that wait for a time in the future, by name.
#[derive(Debug, Default)]
pub(super) struct Ahead(BTreeMap<String, Silence>);

impl Ahead {
    /// Looks for such entries among `entries` and logs those that are new or have changed.
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

    /// Removes entries that are not in the schedule.
    pub(super) fn retain(&mut self, schedule: &Schedule) {
        self.0.retain(|name, _| schedule.get(name).is_some());
    }

    /// Removes these entries.
    pub(super) fn forget(&mut self, names: &[String]) {
        for name in names {
            self.0.remove(name);
        }
    }

    /// Removes entries whose time has come.
    pub(super) fn prune(&mut self, now: DateTime<Utc>) {
        let latest = instant::after(now, TOLERANCE);
        self.0.retain(|_, silence| silence.until > latest);
    }

    /// Returns the problem as text, if entries wait.
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

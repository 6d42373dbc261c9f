//! Lists upcoming fires in order of time, as if every entry were first seen now. Enqueues nothing.

use std::{cmp::Reverse, collections::BinaryHeap, iter, sync::Arc};

use chrono::{DateTime, SubsecRound, Utc};

use crate::core::{
    firing::history::{History, Progress},
    schedule::entry::Entry,
    time::duration::words,
};

/// Returns the fire times of one entry that is first seen at `from`, in order.
pub fn fires(entry: &Entry, from: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
    let new = History {
        first_seen: from,
        last_fire: None,
        fires: 0,
        enqueued_elsewhere: None,
        returned: None,
    };
    let mut progress = Progress::resume(&entry.timing, new);
    iter::from_fn(move || {
        let at = progress.next(&entry.timing)?;
        progress.fired(at);
        Some(at)
    })
}

/// Returns the fires of all `entries`, each first seen at `from`, in order of time.
///
/// Fires at the same instant are in the order of the entries.
pub fn upcoming<'a>(
    entries: impl IntoIterator<Item = &'a Arc<Entry>>,
    from: DateTime<Utc>,
) -> impl Iterator<Item = (DateTime<Utc>, &'a Arc<Entry>)> {
    let entries = entries.into_iter();
    let mut all: Vec<_> = entries.map(|it| (it, fires(it, from))).collect();
    let firsts = all.iter_mut().enumerate();
    let mut soonest: BinaryHeap<_> = firsts
        .filter_map(|(index, (_, fires))| Some(Reverse((fires.next()?, index))))
        .collect();
    iter::from_fn(move || {
        let Reverse((at, index)) = soonest.pop()?;
        let (entry, fires) = &mut all[index];
        soonest.extend(fires.next().map(|next| Reverse((next, index))));
        Some((at, *entry))
    })
}

/// Returns the time from `now` until `at` as text, in at most two units: `in 3 h 12 m`, `in 45 s`, `now`.
pub fn in_words(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match words(at - now.trunc_subsecs(0)) {
        Some(words) => format!("in {words}"),
        None => "now".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::core::{
        job::Job,
        schedule::{
            entry::{CatchUp, Origin},
            overlap::Guard,
        },
        time::{
            cron::Cron,
            every::Every,
            timing::{Recurrence, Timing},
            zone::Zone,
        },
    };

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn entry(name: &str, recurrence: Recurrence) -> Arc<Entry> {
        Arc::new(Entry {
            name: name.into(),
            timing: Timing::of(recurrence),
            zone: Zone::UTC,
            job: Job::new("C", "q", "[]", false),
            catch_up: CatchUp::default(),
            guard: Guard::default(),
            description: None,
            origin: Origin::Dynamic,
        })
    }

    fn cron(text: &str, zone: &str) -> Recurrence {
        Recurrence::Cron {
            cron: Cron::parse(text, "").unwrap(),
            zone: zone.parse().unwrap(),
        }
    }

    fn every(seconds: i64) -> Recurrence {
        Recurrence::Every(Every::new(TimeDelta::seconds(seconds)).unwrap())
    }

    #[test]
    fn the_fires_of_all_entries_come_in_order_of_time() {
        let entries = [
            entry("hourly", cron("0 * * * *", "UTC")),
            entry("by hand", Recurrence::Manual),
            entry("noon", cron("0 12 * * *", "Europe/Paris")),
            entry("interval", every(2_400)),
        ];
        let fires = upcoming(&entries, utc("2026-11-24T10:30:00.5Z")).take(6);
        let fires: Vec<_> = fires
            .map(|(at, entry)| format!("{} {}", at.format("%H:%M"), entry.name))
            .collect();
        let expected = [
            "11:00 hourly",
            "11:00 noon",
            "11:10 interval",
            "11:50 interval",
            "12:00 hourly",
            "12:30 interval",
        ];
        assert_eq!(fires, expected);
    }

    #[test]
    fn an_entry_without_fires_has_no_upcoming_fires() {
        assert_eq!(upcoming(&[], utc("2026-11-24T10:30:00Z")).count(), 0);
        let by_hand = entry("by hand", Recurrence::Manual);
        assert_eq!(fires(&by_hand, utc("2026-11-24T10:30:00Z")).count(), 0);
    }

    #[track_caller]
    fn case(seconds: i64, words: &str) {
        let now = utc("2026-11-24T10:30:00.25Z");
        let at = now.trunc_subsecs(0) + TimeDelta::seconds(seconds);
        assert_eq!(in_words(at, now), words);
    }

    #[test]
    fn a_time_until_a_fire_is_shown_in_at_most_two_units() {
        case(-5, "now");
        case(0, "now");
        case(45, "in 45 s");
        case(60, "in 1 m");
        case(200, "in 3 m 20 s");
        case(3_600, "in 1 h");
        case(3_659, "in 1 h");
        case(11_520, "in 3 h 12 m");
        case(86_400 * 400 + 3_700, "in 400 d 1 h");
    }
}

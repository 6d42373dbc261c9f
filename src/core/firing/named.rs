//! The fire times that a timing names, in the past and the future, independent of their outcomes.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

use crate::core::time::{
    instant,
    timing::{Recurrence, Timing},
};

/// The minimum time that the search for an earlier fire time goes back.
const FURTHEST: TimeDelta = TimeDelta::days(9 * 366);

/// The fire times of one timing.
#[derive(Debug, Clone)]
pub struct NamedFires<'a> {
    timing: &'a Timing,
    /// The instant from which intervals are counted.
    anchor: DateTime<Utc>,
    /// The first fire, if the recurrence does not give it. The fires of the recurrence follow it.
    first: Option<DateTime<Utc>>,
    /// The start of the fires, inclusive.
    start: Option<DateTime<Utc>>,
    /// The end of the fires, exclusive.
    end: Option<DateTime<Utc>>,
}

impl<'a> NamedFires<'a> {
    /// Returns the fire times of an entry that was first seen at `first_seen` and last fired at `last_fire`.
    pub fn of(
        timing: &'a Timing,
        first_seen: DateTime<Utc>,
        last_fire: Option<DateTime<Utc>>,
    ) -> Self {
        let first_seen = first_seen.trunc_subsecs(0);
        let bounds = timing.bounds();
        let is_named = bounds.first.is_some() || matches!(timing.recurrence, Recurrence::Once(_));
        let first_fire = timing.first_fire(first_seen);
        let fixed = bounds.starts_at.filter(|_| bounds.first.is_none());
        let anchor = fixed.or(last_fire).or(first_fire).unwrap_or(first_seen);
        Self {
            timing,
            anchor,
            first: first_fire.filter(|_| is_named),
            start: bounds.starts_at,
            end: timing.end(first_seen),
        }
    }

    /// Returns the first fire time later than `after`.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = match self.first {
            Some(first) if first > after => first,
            _ => {
                let before_start = |at| instant::before(at, TimeDelta::seconds(1));
                let start = self
                    .start
                    .map_or(after, |start| after.max(before_start(start)));
                self.timing.recurrence.next_after(self.anchor, start)?
            }
        };
        (self.end.is_none_or(|end| next < end)).then_some(next)
    }

    /// Whether `at`, cut to whole seconds, is a fire time.
    pub fn has(&self, at: DateTime<Utc>) -> bool {
        let at = at.trunc_subsecs(0);
        self.next_after(instant::before(at, TimeDelta::seconds(1))) == Some(at)
    }

    /// Returns the last fire time that is not later than `at`, or `None` if there is none in the nine years before it.
    ///
    /// Intervals are counted backwards too, to fire times before the entry was first seen.
    pub fn last_until(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let until = |after| self.next_after(after).filter(|found| *found <= at);
        let mut width = TimeDelta::seconds(1);
        let mut low = loop {
            if let Some(found) = until(instant::before(at, width)) {
                break found;
            }
            if width > FURTHEST {
                return None;
            }
            width = width * 4;
        };
        // A binary search, so that a dense timing does not take longer.
        let mut high = at;
        while high - low >= TimeDelta::seconds(1) {
            let middle = low + (high - low) / 2;
            match until(middle) {
                Some(found) => low = found,
                None => high = middle,
            }
        }
        Some(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::{cron::Cron, every::Every, timing::Moment, zone::Zone};

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn every(seconds: i64) -> Timing {
        let every = Every::new(TimeDelta::seconds(seconds)).unwrap();
        Timing::of(Recurrence::Every(every))
    }

    fn cron(text: &str) -> Timing {
        Timing::of(Recurrence::Cron {
            cron: Cron::parse(text, "").unwrap(),
            zone: Zone::UTC,
        })
    }

    #[track_caller]
    fn around(timing: &Timing, last_fire: Option<&str>, at: &str, before: &str, after: &str) {
        let fires = NamedFires::of(timing, utc("2026-11-20T00:00:10Z"), last_fire.map(utc));
        let shown = |at: Option<DateTime<Utc>>| at.map_or("-".to_owned(), instant::rfc3339);
        assert_eq!(shown(fires.last_until(utc(at))), before, "before {at}");
        assert_eq!(shown(fires.next_after(utc(at))), after, "after {at}");
    }

    #[test]
    fn a_cron_expression_names_the_times_before_and_after() {
        let timing = cron("30 3 * * *");
        let (before, after) = ("2026-11-24T03:30:00Z", "2026-11-25T03:30:00Z");
        around(&timing, None, "2026-11-24T03:30:00Z", before, after);
        around(&timing, None, "2026-11-24T12:00:00Z", before, after);
        let (before, after) = ("2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z");
        around(
            &cron("0 0 29 2 *"),
            None,
            "2026-11-24T12:00:00Z",
            before,
            after,
        );
    }

    #[test]
    fn an_interval_is_counted_from_the_last_fire() {
        let timing = every(3_600);
        let (before, after) = ("2026-11-24T03:00:10Z", "2026-11-24T04:00:10Z");
        around(&timing, None, "2026-11-24T03:30:00Z", before, after);
        let (before, after) = ("2026-11-24T03:15:00Z", "2026-11-24T04:15:00Z");
        around(
            &timing,
            Some("2026-11-23T21:15:00Z"),
            "2026-11-24T03:30:00Z",
            before,
            after,
        );
    }

    #[test]
    fn bounds_end_the_times() {
        let mut timing = cron("0 * * * *");
        timing.bound(|bounds| {
            bounds.starts_at = Some(utc("2026-11-24T03:00:00Z"));
            bounds.ends_at = Some(utc("2026-11-24T05:00:00Z"));
        });
        around(
            &timing,
            None,
            "2026-11-24T02:00:00Z",
            "-",
            "2026-11-24T03:00:00Z",
        );
        around(
            &timing,
            None,
            "2026-11-24T04:30:00Z",
            "2026-11-24T04:00:00Z",
            "-",
        );
    }

    #[test]
    fn a_named_first_fire_comes_first() {
        let mut timing = cron("0 * * * *");
        timing.bound(|bounds| bounds.first = Some(Moment::At(utc("2026-11-24T03:30:00Z"))));
        around(
            &timing,
            None,
            "2026-11-24T02:00:00Z",
            "-",
            "2026-11-24T03:30:00Z",
        );
        around(
            &timing,
            None,
            "2026-11-24T03:30:00Z",
            "2026-11-24T03:30:00Z",
            "2026-11-24T04:00:00Z",
        );
        let once = Timing::of(Recurrence::Once(Moment::At(utc("2026-11-24T03:30:00Z"))));
        around(
            &once,
            None,
            "2026-11-24T03:00:00Z",
            "-",
            "2026-11-24T03:30:00Z",
        );
        around(
            &once,
            None,
            "2026-11-24T04:00:00Z",
            "2026-11-24T03:30:00Z",
            "-",
        );
    }

    #[test]
    fn a_dense_timing_takes_few_steps() {
        around(
            &every(1),
            None,
            "2026-11-24T03:30:00Z",
            "2026-11-24T03:30:00Z",
            "2026-11-24T03:30:01Z",
        );
    }
}

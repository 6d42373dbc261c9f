//! Checks every change of the clocks in every zone from 2020 to 2037 against the rules for daylight saving time.
//!
//! The rules are implemented again here with whole numbers: instants and civil times are seconds, and a change has two
//! offsets and an instant.

use chrono::{DateTime, Offset, TimeZone, Utc};
use chrono_tz::{IANA_TZDB_VERSION, TZ_VARIANTS, Tz};
use rescue_scheduler::core::time::{cron::Cron, zone::Zone};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

const FIRST: &str = "2020-01-01T00:00:00Z";
const END: &str = "2038-01-01T00:00:00Z";

/// A change of the clocks of `zone` from `before` to `after` seconds ahead of UTC.
struct Change {
    zone: Tz,
    at: i64,
    before: i64,
    after: i64,
}

fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn offset(zone: Tz, at: i64) -> i64 {
    let offset = zone.offset_from_utc_datetime(&instant(at).naive_utc());
    offset.fix().local_minus_utc().into()
}

/// Returns the changes of a zone. Finds the day of each change, then the second by binary search.
fn changes(zone: Tz) -> Vec<Change> {
    let [first, end] = [FIRST, END].map(|at| at.parse::<DateTime<Utc>>().unwrap().timestamp());
    let mut found: Vec<Change> = vec![];
    let mut before = offset(zone, first);
    for day in (first..end).step_by(24 * 3600) {
        let after = offset(zone, day + DAY);
        if before != after {
            let (mut low, mut high) = (day, day + DAY);
            while high - low > 1 {
                let middle = low.midpoint(high);
                if offset(zone, middle) == before {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            // The checks look at one change at a time, so changes must not be close to each other.
            assert!(found.last().is_none_or(|last| high - last.at > 4 * DAY));
            found.push(Change {
                zone,
                at: high,
                before,
                after,
            });
        }
        before = after;
    }
    found
}

impl Change {
    /// Returns the instants at which clocks show `civil`: none in a gap, two in a fold.
    fn passes(&self, civil: i64) -> impl Iterator<Item = i64> {
        let first = Some(civil - self.before).filter(|at| *at < self.at);
        let second = Some(civil - self.after).filter(|at| *at >= self.at);
        first.into_iter().chain(second)
    }

    /// Returns the civil times that are `into` seconds after the start of a `period`, such as a day, around the change.
    fn civil_times(&self, period: i64, into: i64, around: i64) -> impl Iterator<Item = i64> {
        let civil = self.at + self.before;
        let first = (civil - around).div_euclid(period);
        let last = (civil + around).div_euclid(period);
        (first..=last).map(move |n| n * period + into)
    }

    /// Returns one fire for every local date: at the end of a gap that skips the time, and in the first pass of a fold.
    fn once_a_day(&self, time: i64) -> Vec<i64> {
        self.civil_times(DAY, time, 2 * DAY)
            .map(|civil| self.passes(civil).next().unwrap_or(self.at))
            .collect()
    }

    /// Returns every instant at which clocks show a multiple of `step`.
    fn each(&self, step: i64) -> Vec<i64> {
        let mut fires: Vec<i64> = self
            .civil_times(step, 0, 6 * HOUR)
            .flat_map(|civil| self.passes(civil))
            .collect();
        fires.sort_unstable();
        fires
    }

    /// Asserts that `cron` has the expected fires, asked from each fire and from instants near the change.
    fn check(&self, cron: &Cron, expected: &[i64]) {
        let next = |after: i64| {
            let next = cron.next_after(instant(after), Zone::Named(self.zone));
            next.unwrap().timestamp()
        };
        for fires in expected.windows(2) {
            assert_eq!(next(fires[0]), fires[1], "after {} in {self}", fires[0]);
        }
        for distance in [-90, -60, -31, -30, 0, 15, 30, 59, 60, 90] {
            for after in [-1, 0, 1].map(|second| self.at + distance * MINUTE + second) {
                let first = expected.iter().find(|at| **at > after);
                assert_eq!(Some(&next(after)), first, "after {after} in {self}");
            }
        }
    }

    /// Asserts that `fires` are `step` seconds apart in elapsed time.
    ///
    /// If the change is not a multiple of `step`, one distance at the change may be different.
    fn check_steps(&self, step: i64, fires: &[i64]) {
        let in_step = (self.after - self.before) % step == 0;
        for fires in fires.windows(2) {
            let (elapsed, over_change) = (fires[1] - fires[0], fires[1] >= self.at);
            let allowed = elapsed == step || !in_step && over_change && elapsed < 2 * step;
            assert!(allowed, "{elapsed} s after {} in {self}", fires[0]);
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (zone, at) = (self.zone, instant(self.at));
        write!(f, "{zone}: {at}, {} to {}", self.before, self.after)
    }
}

#[test]
fn fires_at_every_change_of_the_clocks_follow_the_rules() {
    let cron = |text| Cron::parse(text, "").unwrap();
    let fixed = [(cron("30 2 * * *"), 150), (cron("30 1 * * *"), 90)];
    let hourly = [(cron("0 * * * *"), 60), (cron("*/20 * * * *"), 20)];
    let (mut gaps, mut folds, mut changing) = (0, 0, 0);
    for zone in TZ_VARIANTS {
        let changes = changes(zone);
        for change in &changes {
            for (cron, minute) in &fixed {
                change.check(cron, &change.once_a_day(minute * MINUTE));
            }
            for (cron, minutes) in &hourly {
                let fires = change.each(minutes * MINUTE);
                change.check(cron, &fires);
                change.check_steps(minutes * MINUTE, &fires);
            }
        }
        let forward = changes.iter().filter(|it| it.after > it.before).count();
        gaps += forward;
        folds += changes.len() - forward;
        changing += usize::from(!changes.is_empty());
    }
    println!(
        "tz database {IANA_TZDB_VERSION}: {} zones, {changing} with {gaps} gaps and {folds} folds",
        TZ_VARIANTS.len()
    );
    // Fewer would mean that changes were not found.
    assert!(gaps > 3000 && folds > 3000 && gaps.abs_diff(folds) < 100);
}

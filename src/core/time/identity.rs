//! The identity of a timing in Redis: a versioned text.
//!
//! It is separate from the text that people read, so that the latter can be reworded.

use crate::core::time::{
    duration,
    timing::{Moment, Recurrence, Timing},
};

impl Timing {
    /// Returns the text that identifies this timing in Redis.
    ///
    /// If the identity of an entry's timing changes, the entry is first seen again. The identity contains the
    /// recurrence and `first`, but no other bounds and no jitter.
    ///
    /// Redis stores the identity, so the text for a timing must never change. A new form would need a new version, and
    /// [`Timing::is_identified_by`] would have to accept this form for as long as records contain it.
    pub fn identity(&self) -> String {
        let first = self.bounds().first.map(moment);
        let first = first.map_or_else(String::new, |first| format!(" first {first}"));
        let recurrence = match &self.recurrence {
            // The zone in force, whether it is part of the expression or not.
            Recurrence::Cron { cron, zone } => format!("cron {} {zone}", cron.canonical()),
            Recurrence::Every(every) => format!("every {}", every.interval().num_seconds()),
            Recurrence::Once(once) => format!("once {}", moment(*once)),
            Recurrence::Manual => "manual".to_owned(),
        };
        format!("v1 {recurrence}{first}")
    }

    /// Whether `stored` identifies this timing: as its [`Timing::identity`], or in the older form without a version.
    pub fn is_identified_by(&self, stored: &str) -> bool {
        stored == self.identity()
            || !stored.starts_with("v1 ") && self.old_identities().any(|old| old == stored)
    }

    /// Returns the identities in the form without a version.
    ///
    /// A cron expression has two: in one the zone comes from the entry, in the other it is part of the expression.
    fn old_identities(&self) -> impl Iterator<Item = String> {
        let first = self.bounds().first.map(old_moment);
        let first = first.map_or_else(String::new, |first| format!(", first {first}"));
        let recurrences = match &self.recurrence {
            Recurrence::Cron { cron, zone } => {
                let cron = cron.canonical();
                vec![
                    format!("cron {cron} in {zone}"),
                    format!("cron {cron} {zone}"),
                ]
            }
            Recurrence::Every(every) => {
                vec![format!("every {}", duration::display(every.interval()))]
            }
            Recurrence::Once(once) => vec![format!("once {}", old_moment(*once))],
            Recurrence::Manual => vec!["manual".to_owned()],
        };
        recurrences
            .into_iter()
            .map(move |recurrence| recurrence + &first)
    }
}

fn moment(moment: Moment) -> String {
    match moment {
        Moment::At(at) => format!("at {}", at.timestamp()),
        Moment::In(length) => format!("in {}", length.num_seconds()),
    }
}

fn old_moment(moment: Moment) -> String {
    match moment {
        Moment::At(at) => format!("at {}", at.format("%Y-%m-%dT%H:%M:%SZ")),
        Moment::In(length) => format!("in {}", duration::display(length)),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::core::time::{cron::Cron, every::Every, zone::Zone};

    fn cron(text: &str, zone: &str) -> Timing {
        let cron = Cron::parse(text, "name").unwrap();
        let zone: Zone = zone.parse().unwrap();
        let zone = cron.zone().unwrap_or(zone);
        Timing::of(Recurrence::Cron { cron, zone })
    }

    fn every(seconds: i64) -> Timing {
        let every = Every::new(TimeDelta::seconds(seconds)).unwrap();
        Timing::of(Recurrence::Every(every))
    }

    fn at() -> Moment {
        Moment::At(DateTime::from_timestamp(1_795_454_398, 0).unwrap())
    }

    fn after(seconds: i64) -> Moment {
        Moment::In(TimeDelta::seconds(seconds))
    }

    fn with_first(mut timing: Timing, first: Moment) -> Timing {
        timing.bound(|it| it.first = Some(first));
        timing
    }

    /// Returns a timing of every kind, its identity, and its identity in the form without a version.
    fn pinned() -> Vec<(Timing, &'static str, &'static str)> {
        vec![
            (
                cron("0 0 * * *", "Europe/Paris"),
                "v1 cron 0 0 * * * Europe/Paris",
                "cron 0 0 * * * in Europe/Paris",
            ),
            (
                cron("0 0 * * * Europe/Paris", "UTC"),
                "v1 cron 0 0 * * * Europe/Paris",
                "cron 0 0 * * * Europe/Paris",
            ),
            (
                cron("30 */5 0-11,12-23 * jan mon-fri", "+05:30"),
                "v1 cron 30 */5 0-22,23 * 1 1-5 +05:30",
                "cron 30 */5 0-22,23 * 1 1-5 in +05:30",
            ),
            (
                cron("0,7 0 L,15,-3& * mon#2,fri#last,sun%4+5", "-0330"),
                "v1 cron 0,7 0 15,-3,-1& * 1#2,5#-1,0%4+1 -03:30",
                "cron 0,7 0 15,-3,-1& * 1#2,5#-1,0%4+1 in -03:30",
            ),
            (every(5_400), "v1 every 5400", "every 1h30m"),
            (
                with_first(every(3_600), after(300)),
                "v1 every 3600 first in 300",
                "every 1h, first in 5m",
            ),
            (
                with_first(cron("0 0 1 1 *", "UTC"), at()),
                "v1 cron 0 0 1 1 * UTC first at 1795454398",
                "cron 0 0 1 1 * in UTC, first at 2026-11-23T17:19:58Z",
            ),
            (
                Timing::of(Recurrence::Once(at())),
                "v1 once at 1795454398",
                "once at 2026-11-23T17:19:58Z",
            ),
            (
                Timing::of(Recurrence::Once(after(300))),
                "v1 once in 300",
                "once in 5m",
            ),
            (Timing::of(Recurrence::Manual), "v1 manual", "manual"),
        ]
    }

    #[test]
    fn the_identity_of_a_timing_never_changes() {
        for (timing, identity, _) in pinned() {
            assert_eq!(timing.identity(), identity);
        }
    }

    #[test]
    fn a_timing_is_identified_only_by_its_own_identities() {
        for (timing, identity, old) in pinned() {
            assert!(timing.is_identified_by(identity), "{identity}");
            assert!(timing.is_identified_by(old), "{old}");
            for (other, _, _) in pinned() {
                let same = other.identity() == timing.identity();
                assert_eq!(
                    other.is_identified_by(identity),
                    same,
                    "{other}: {identity}"
                );
                assert_eq!(other.is_identified_by(old), same, "{other}: {old}");
            }
        }
    }

    #[test]
    fn a_zone_in_the_expression_gives_the_same_identity_as_the_zone_of_the_entry() {
        let inside = cron("@daily Asia/Tokyo", "UTC");
        let beside = cron("0 0 * * *", "Asia/Tokyo");
        assert_eq!(inside.identity(), beside.identity());
        assert!(beside.is_identified_by("cron 0 0 * * * Asia/Tokyo"));
        assert!(inside.is_identified_by("cron 0 0 * * * in Asia/Tokyo"));
        assert!(!beside.is_identified_by("cron 0 0 * * * in UTC"));
    }

    #[test]
    fn bounds_and_jitter_are_not_part_of_the_identity() {
        let mut bounded = every(60);
        bounded.bound(|it| {
            it.last = Some(at());
            it.times = Some(3);
            it.jitter = TimeDelta::seconds(9);
        });
        assert_eq!(bounded.identity(), "v1 every 60");
        assert!(bounded.is_identified_by("every 1m"));
    }
}

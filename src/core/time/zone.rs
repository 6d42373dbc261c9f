//! Time zones, and the conversion of civil time to instants. All rules for daylight saving time are here.

use std::{fmt, str::FromStr};

use chrono::{DateTime, FixedOffset, MappedLocalTime, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};

/// A time zone: a named zone with its rules, or a fixed offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// A zone of the time zone database.
    Named(Tz),
    /// An offset that never changes.
    Fixed(FixedOffset),
}

/// The error for a zone that is not in the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone `{name}`")]
pub struct ZoneError {
    /// The name that is unknown.
    pub name: String,
    /// A known name that is similar, if there is one.
    pub nearest: Option<String>,
}

/// The instants at which the clocks of a zone show one civil time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instants {
    /// The civil time is in a *gap*: clocks go forward and skip it.
    Never {
        /// The first instant after the gap.
        end: DateTime<Utc>,
    },
    /// The civil time occurs once, as usual.
    Once(DateTime<Utc>),
    /// The civil time is in a *fold*: clocks go back and show it again.
    Twice {
        /// The instant in the first pass.
        first: DateTime<Utc>,
        /// The instant in the second pass.
        second: DateTime<Utc>,
    },
}

/// A range of civil time that occurs twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fold {
    /// The start of the range, inclusive.
    pub start: NaiveDateTime,
    /// The end of the range, exclusive.
    pub end: NaiveDateTime,
    /// The instant at which clocks go back and the second pass begins.
    pub turn: DateTime<Utc>,
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self::Named(Tz::UTC);

    /// Returns `at` with the offset of this zone.
    pub fn local(self, at: DateTime<Utc>) -> DateTime<FixedOffset> {
        at.with_timezone(&self.offset(at))
    }

    /// Returns the civil time of this zone at `at`; `None` if chrono cannot represent it.
    pub fn civil(self, at: DateTime<Utc>) -> Option<NaiveDateTime> {
        at.naive_utc().checked_add_offset(self.offset(at))
    }

    /// Returns the instants at which clocks of this zone show `civil`; `None` if chrono cannot represent them.
    ///
    /// If one civil time is later than another, its first instant (or the end of its gap) is never earlier than that of
    /// the other.
    pub fn instants(self, civil: NaiveDateTime) -> Option<Instants> {
        let mapped = match self {
            Self::Named(tz) => tz.from_local_datetime(&civil).map(|at| at.to_utc()),
            Self::Fixed(offset) => offset.from_local_datetime(&civil).map(|at| at.to_utc()),
        };
        match (mapped, self) {
            (MappedLocalTime::Single(at), _) => Some(Instants::Once(at)),
            (MappedLocalTime::Ambiguous(first, second), _) => {
                Some(Instants::Twice { first, second })
            }
            (MappedLocalTime::None, Self::Named(tz)) => {
                let end = GapInfo::new(&civil, &tz)?.end?.to_utc();
                Some(Instants::Never { end })
            }
            (MappedLocalTime::None, Self::Fixed(_)) => None,
        }
    }

    /// Returns the fold that contains `civil`, if there is one.
    pub fn fold(self, civil: NaiveDateTime) -> Option<Fold> {
        let Instants::Twice { first, second } = self.instants(civil)? else {
            return None;
        };
        // chrono-tz does not give the instant at which clocks go back, so search for it between the two instants.
        let later = self.offset(second);
        let (mut before, mut turn) = (first.timestamp(), second.timestamp());
        while turn - before > 1 {
            let middle = before + (turn - before) / 2;
            if self.offset(DateTime::from_timestamp(middle, 0)?) == later {
                turn = middle;
            } else {
                before = middle;
            }
        }
        let turn = DateTime::from_timestamp(turn, 0)?;
        let start = self.civil(turn)?;
        let end = start.checked_add_signed(second - first)?;
        Some(Fold { start, end, turn })
    }

    /// Returns the offset of this zone from UTC at `at`.
    fn offset(self, at: DateTime<Utc>) -> FixedOffset {
        match self {
            Self::Named(tz) => tz.offset_from_utc_datetime(&at.naive_utc()).fix(),
            Self::Fixed(offset) => offset,
        }
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    /// Parses a name of the time zone database (`Europe/Paris`, `UTC`; case matters) or an offset.
    ///
    /// An offset is `+HH:MM` or `-HHMM`, below 12 hours and in quarters of an hour, as in fugit 1.14.
    fn from_str(name: &str) -> Result<Self, ZoneError> {
        if let Some(offset) = parse_offset(name) {
            return Ok(Self::Fixed(offset));
        }
        name.parse().map(Self::Named).map_err(|_| ZoneError {
            name: name.to_owned(),
            nearest: nearest(name).map(str::to_owned),
        })
    }
}

impl fmt::Display for Zone {
    /// Writes the text that `from_str` parses as this zone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(tz) => f.write_str(tz.name()),
            Self::Fixed(offset) => offset.fmt(f),
        }
    }
}

/// Parses `+HH:MM` or `-HHMM`.
fn parse_offset(text: &str) -> Option<FixedOffset> {
    let (sign, clock) = match text.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let (hours, minutes) = clock.split_at_checked(2)?;
    let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
    if !hours.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = hours.parse().ok().filter(|hours| *hours <= 11)?;
    let quarters = ["00", "15", "30", "45"];
    let quarter = quarters.iter().position(|quarter| *quarter == minutes)?;
    let seconds = hours * 3600 + i32::try_from(quarter).ok()? * 15 * 60;
    FixedOffset::east_opt(sign * seconds)
}

/// Returns the known zone whose name or city is most similar to `name`.
fn nearest(name: &str) -> Option<&'static str> {
    /// The lowest similarity for which a name is suggested.
    const ALIKE: f64 = 0.7;
    // Shorter names are abbreviations. Similar letters mean nothing there: PST is not a misspelled EST.
    const SHORTEST: usize = 5;
    // Longer names are similar to no known name, and comparing them takes long.
    const LONGEST: usize = 80;

    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_lowercase().replace(' ', "_");
    let likeness = |tz: &Tz| {
        let known = tz.name().to_lowercase();
        let city = known.rsplit('/').next().unwrap_or(&known);
        if name == known {
            1.0
        } else if name.len() < SHORTEST {
            if name == city { 0.9 } else { 0.0 }
        } else {
            // A similar full name is preferred to an equally similar city.
            strsim::normalized_damerau_levenshtein(&name, &known)
                .max(0.95 * strsim::normalized_damerau_levenshtein(&name, city))
        }
    };
    TZ_VARIANTS
        .iter()
        .map(|tz| (likeness(tz), tz.name()))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        // The first name alphabetically wins a tie, so the names are compared in reverse.
        .max_by(|(a, a_name), (b, b_name)| a.total_cmp(b).then_with(|| b_name.cmp(a_name)))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn instants(zone: &str, civil: &str) -> Instants {
        let zone: Zone = zone.parse().unwrap();
        zone.instants(civil.parse().unwrap()).unwrap()
    }

    #[track_caller]
    fn gap(zone: &str, civil: &str, end: &str) {
        assert_eq!(instants(zone, civil), Instants::Never { end: utc(end) });
    }

    #[track_caller]
    fn fold(zone: &str, civil: &str, start: &str, end: &str, turn: &str) {
        let zone: Zone = zone.parse().unwrap();
        let expected = Fold {
            start: start.parse().unwrap(),
            end: end.parse().unwrap(),
            turn: utc(turn),
        };
        assert_eq!(zone.fold(civil.parse().unwrap()), Some(expected));
    }

    #[test]
    fn ordinary_civil_times_occur_once() {
        let at = utc("2026-07-01T10:00:00Z");
        assert_eq!(
            instants("Europe/Paris", "2026-07-01T12:00:00"),
            Instants::Once(at)
        );
        assert_eq!(
            instants("-03:30", "2026-07-01T06:30:00"),
            Instants::Once(at)
        );
        let paris: Zone = "Europe/Paris".parse().unwrap();
        assert_eq!(paris.fold("2026-07-01T12:00:00".parse().unwrap()), None);
    }

    #[test]
    fn a_gap_ends_at_the_first_instant_after_it() {
        gap(
            "America/New_York",
            "2026-03-08T02:30:15",
            "2026-03-08T07:00:00Z",
        );
        // Lord Howe Island moves its clocks by half an hour.
        gap(
            "Australia/Lord_Howe",
            "2026-10-04T02:15:00",
            "2026-10-03T15:30:00Z",
        );
        // In Cairo, the day on which clocks go forward begins at 01:00.
        gap(
            "Africa/Cairo",
            "2026-04-24T00:00:00",
            "2026-04-23T22:00:00Z",
        );
        // Samoa skipped the whole of 30 December 2011.
        gap(
            "Pacific/Apia",
            "2011-12-30T12:00:00",
            "2011-12-30T10:00:00Z",
        );
    }

    #[test]
    fn a_fold_has_a_start_an_end_and_a_turn() {
        fold(
            "America/New_York",
            "2026-11-01T01:59:59",
            "2026-11-01T01:00:00",
            "2026-11-01T02:00:00",
            "2026-11-01T06:00:00Z",
        );
        fold(
            "Australia/Lord_Howe",
            "2026-04-05T01:30:00",
            "2026-04-05T01:30:00",
            "2026-04-05T02:00:00",
            "2026-04-04T15:00:00Z",
        );
    }

    #[track_caller]
    fn offset(text: &str, minutes: i32) {
        let zone: Zone = text.parse().unwrap();
        let expected = FixedOffset::east_opt(minutes * 60).unwrap();
        assert_eq!(zone, Zone::Fixed(expected));
        assert_eq!(zone.to_string().parse(), Ok(zone));
    }

    #[test]
    fn offsets_are_hours_and_quarters() {
        offset("+09:00", 540);
        offset("-0345", -225);
        offset("-00:30", -30);
        offset("+11:45", 705);
        for refused in ["+12:00", "+05:20", "05:30", "+5:30", "++1:00", "+é", "+05:"] {
            assert!(refused.parse::<Zone>().is_err(), "{refused}");
        }
    }

    #[track_caller]
    fn unknown(name: &str, nearest: Option<&str>) {
        let error = name.parse::<Zone>().unwrap_err();
        assert_eq!(error.name, name);
        assert_eq!(error.nearest.as_deref(), nearest);
    }

    #[test]
    fn an_unknown_name_is_refused_with_a_similar_known_name() {
        unknown("Europe/Stokholm", Some("Europe/Stockholm"));
        unknown("America/New York", Some("America/New_York"));
        unknown("europe/paris", Some("Europe/Paris"));
        unknown("Paris", Some("Europe/Paris"));
        unknown("utc", Some("UTC"));
        unknown("Kolkatta", Some("Asia/Kolkata"));
        unknown("PST", None);
        unknown("CEST", None);
        unknown("", None);
        unknown("Nada/Nada", None);
        unknown(&"Europe/Paris".repeat(100_000), None);
    }

    #[test]
    fn every_name_of_the_database_parses_to_its_zone() {
        for tz in TZ_VARIANTS {
            assert_eq!(tz.name().parse(), Ok(Zone::Named(tz)));
        }
    }

    fn any_zone() -> impl Strategy<Value = Zone> {
        proptest::sample::select(&TZ_VARIANTS[..]).prop_map(Zone::Named)
    }

    proptest! {
        #[test]
        fn later_civil_times_never_occur_earlier(
            zone in any_zone(),
            first in 0_i64..4_000_000_000, // 1970 to 2096
            step in 0_i64..200_000,
        ) {
            let earliest = |seconds| {
                let civil = DateTime::from_timestamp(seconds, 0).unwrap().naive_utc();
                match zone.instants(civil).unwrap() {
                    Instants::Never { end: at }
                    | Instants::Once(at)
                    | Instants::Twice { first: at, .. } => at,
                }
            };
            prop_assert!(earliest(first) <= earliest(first + step));
        }

        #[test]
        fn an_instant_is_among_those_of_its_civil_time(
            zone in any_zone(),
            seconds in 0_i64..4_000_000_000,
        ) {
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            match zone.instants(zone.civil(at).unwrap()).unwrap() {
                Instants::Never { .. } => prop_assert!(false, "{at} is in a gap"),
                Instants::Once(once) => prop_assert_eq!(once, at),
                Instants::Twice { first, second } => prop_assert!(first == at || second == at),
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,12}|[+-][0-9:]{0,6}") {
            let _ = text.parse::<Zone>();
        }
    }
}

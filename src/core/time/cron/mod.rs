//! Cron expressions in resque-scheduler's dialect, and the instants at which they fire.
//!
//! `parse` reads the text, `calendar` finds matching civil times, and this file converts them to instants. The rules
//! for daylight saving time are:
//!
//! * An entry that fires **every hour** follows elapsed time. It fires at every instant whose civil time matches: never
//!   in a gap, and in both passes of a fold.
//! * Any other entry is **fixed** to the local day. Every matching civil time fires once. Civil times in a gap fire when
//!   the gap ends, as a single fire. Civil times in a fold fire in the first pass.

mod calendar;
mod display;
mod field;
mod list;
mod parse;
mod piece;
mod warnings;

use calendar::Calendar;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Timelike, Utc};
pub use piece::CronError;

use crate::core::time::zone::{Instants, Zone};

/// A cron expression in resque-scheduler's dialect: its fields as bit sets, and its own time zone, if it has one.
///
/// Two expressions are equal if their fields and zones are equal, however they are written.
#[derive(Debug, Clone, PartialEq)]
pub struct Cron {
    calendar: Calendar,
    zone: Option<Zone>,
}

impl Cron {
    /// Returns the zone that is part of the expression.
    pub fn zone(&self) -> Option<Zone> {
        self.zone
    }

    /// Returns the first fire time later than `after`, a whole second.
    ///
    /// `zone` is used even if the expression names another zone. Returns `None` if there is no fire time before the
    /// year 2200.
    pub fn next_after(&self, after: DateTime<Utc>, zone: Zone) -> Option<DateTime<Utc>> {
        let hourly = self.calendar.hourly;
        let mut from = self.start(after, zone, hourly)?;
        loop {
            let civil = self.calendar.next(from)?;
            let at = match zone.instants(civil)? {
                Instants::Once(at) => at,
                Instants::Twice { first, second } if hourly && first <= after => second,
                Instants::Twice { first, .. } => first,
                Instants::Never { end } if hourly => {
                    from = zone.civil(end)?;
                    continue;
                }
                Instants::Never { end } => end,
            };
            if at > after {
                return Some(at);
            }
            from = second_after(civil)?;
        }
    }

    /// Returns the civil time from which to search for the first fire time later than `after`.
    fn start(&self, after: DateTime<Utc>, zone: Zone, hourly: bool) -> Option<NaiveDateTime> {
        let here = zone.civil(after)?.with_nanosecond(0)?;
        let from = second_after(here)?;
        let Some(fold) = zone.fold(here) else {
            return Some(from);
        };
        let in_first_pass = after < fold.turn;
        if hourly && in_first_pass && self.calendar.next(from)? >= fold.end {
            // Nothing is left in the first pass, and the second pass comes before the rest of the day.
            return Some(fold.start);
        }
        if !hourly && !in_first_pass {
            // The rest of the fold has already fired in the first pass.
            return Some(fold.end);
        }
        Some(from)
    }
}

fn second_after(civil: NaiveDateTime) -> Option<NaiveDateTime> {
    civil.checked_add_signed(TimeDelta::seconds(1))
}

#[cfg(test)]
mod tests;

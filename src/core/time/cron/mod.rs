//! The cron expression → instants, in resque-scheduler's dialect.
//!
//! `parse` reads the text, `calendar` walks over civil time, and this file carries its civil times
//! over daylight saving:
//!
//! * An entry that fires **every hour** follows real time: each instant whose civil time matches.
//!   Nothing in a gap, both passes of a fold, so that elapsed time never jumps.
//! * Any other is **fixed** to the local day: each matching civil time fires once. In a gap it
//!   fires when the gap ends, and several there make one fire; in a fold, in the first pass.

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

/// A cron expression in resque-scheduler's dialect: the fields as bit sets, and the zone that it
/// names, if it names one.
///
/// Two are equal if their fields, and so their fire times, are.
#[derive(Debug, Clone, PartialEq)]
pub struct Cron {
    calendar: Calendar,
    zone: Option<Zone>,
}

impl Cron {
    /// The zone that the expression names itself.
    pub fn zone(&self) -> Option<Zone> {
        self.zone
    }

    /// The first fire time strictly later than `after`: a whole second. `zone` is the one in
    /// force, whatever the expression names. `None` where there is none before the year 2200.
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

    /// The civil time from which on to look for the first fire time later than `after`.
    fn start(&self, after: DateTime<Utc>, zone: Zone, hourly: bool) -> Option<NaiveDateTime> {
        let here = zone.civil(after)?.with_nanosecond(0)?;
        let from = second_after(here)?;
        let Some(fold) = zone.fold(here) else {
            return Some(from);
        };
        let in_first_pass = after < fold.turn;
        if hourly && in_first_pass && self.calendar.next(from)? >= fold.end {
            // The first pass is over, and the second comes before the rest of the day.
            return Some(fold.start);
        }
        if !hourly && !in_first_pass {
            // What is left of the fold has fired in the first pass.
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

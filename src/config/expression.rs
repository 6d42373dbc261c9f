//! Reads an expression from the command line (`--cron`, `--every`) as an entry.
//!
//! Its errors are shown like errors in a schedule file.

use std::ops::Range;

use chrono::TimeDelta;

use crate::{
    config::{
        read::table,
        report::{diagnostic::Diagnostic, mistake::Mistake, source::Source},
    },
    core::{
        job::Job,
        schedule::{
            entry::{CatchUp, Entry, Origin},
            overlap::Guard,
        },
        time::{
            cron::Cron,
            duration,
            every::Every,
            timing::{Recurrence, Timing},
            zone::Zone,
        },
    },
};

/// Returns an entry without a name that fires by the cron expression in `source`.
///
/// The expression is in `zone` if it names no zone itself.
///
/// # Errors
/// Returns a [`Diagnostic`] that marks the wrong part of the expression.
pub fn cron(source: &Source, zone: Zone) -> Result<Entry, Diagnostic> {
    let cron = Cron::parse(&source.text, "")
        .map_err(|error| marked(source, error.span.clone(), Mistake::Cron(error)))?;
    let zone = cron.zone().unwrap_or(zone);
    Ok(entry(
        Recurrence::Cron { cron, zone },
        zone,
        source.origin(0),
    ))
}

/// Returns an entry without a name that fires at the interval in `source`. Its fire times are shown in `zone`.
///
/// # Errors
/// Returns a [`Diagnostic`] that marks the wrong part of the duration.
pub fn every(source: &Source, zone: Zone) -> Result<Entry, Diagnostic> {
    let length = duration::parse(&source.text)
        .map_err(|error| marked(source, error.span.clone(), Mistake::Duration(error)))?;
    let every = table::in_range(length).and_then(interval);
    let every = every.map_err(|mistake| marked(source, 0..source.text.len(), mistake))?;
    Ok(entry(Recurrence::Every(every), zone, source.origin(0)))
}

/// Returns an interval of this length.
///
/// # Errors
/// Returns [`Mistake::Every`] if the length is not a whole number of seconds, or less than one second.
pub fn interval(length: TimeDelta) -> Result<Every, Mistake> {
    Every::new(length).map_err(Mistake::Every)
}

fn entry(recurrence: Recurrence, zone: Zone, origin: Origin) -> Entry {
    Entry {
        name: String::new(),
        timing: Timing::of(recurrence),
        zone,
        job: Job::new("", "", "[]", false),
        catch_up: CatchUp::default(),
        guard: Guard::default(),
        description: None,
        origin,
    }
}

fn marked(source: &Source, span: Range<usize>, mistake: Mistake) -> Diagnostic {
    Diagnostic::new(source, Some(span), mistake)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::new(path, text)
    }

    fn bad_cron(text: &str) -> String {
        let refused = cron(&source("--cron", text), Zone::UTC);
        refused.unwrap_err().to_string()
    }

    fn bad_every(text: &str) -> String {
        every(&source("--every", text), Zone::UTC)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_zone_of_the_expression_overrides_the_given_zone() {
        let shown = |text| cron(&source("--cron", text), Zone::UTC).unwrap().zone;
        assert_eq!(shown("0 12 * * * Europe/Paris").to_string(), "Europe/Paris");
        let zone = |text| match cron(&source("--cron", text), Zone::UTC)
            .unwrap()
            .timing
            .recurrence
        {
            Recurrence::Cron { zone, .. } => zone.to_string(),
            other => panic!("{other}"),
        };
        assert_eq!(zone("0 12 * * *"), "UTC");
        assert_eq!(zone("0 12 * * * Europe/Paris"), "Europe/Paris");
    }

    #[test]
    fn errors_are_marked_in_the_expression() {
        insta::assert_snapshot!(bad_cron("0 25 * * *"), @"
        error: `25` is not an hour
         --> --cron:1:3
          |
        1 | 0 25 * * *
          |   ^^
          |
        help: hours are 0 to 23, and 24 is 0
        ");
        insta::assert_snapshot!(bad_cron(""), @"
        error: the expression is empty
         --> --cron:1:1
          |
        1 |
          | ^
          |
        help: an expression has 5 fields (minute, hour, day of month, month, day of week), or 6 with seconds first; a time zone may follow
        ");
        insta::assert_snapshot!(bad_every("1hr"), @"
        error: `hr` is not a unit of time
         --> --every:1:2
          |
        1 | 1hr
          |  ^^
          |
        help: units are y, M (30 days), w, d, h, m (minutes) and s, or their names: `1h30m`, `15 minutes`
        ");
        insta::assert_snapshot!(bad_every("1.5s"), @"
        error: an interval must be a whole number of seconds, at least one
         --> --every:1:1
          |
        1 | 1.5s
          | ^^^^
        ");
        insta::assert_snapshot!(bad_every("989y"), @"
        error: a duration must be between 0 seconds and 100 years
         --> --every:1:1
          |
        1 | 989y
          | ^^^^
        ");
    }
}

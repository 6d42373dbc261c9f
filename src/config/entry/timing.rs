//! Reads the keys of an entry that decide when it fires.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use crate::{
    config::{
        expression,
        read::{
            table::{Table, in_range},
            value::{Located, Node, Value},
        },
        report::mistake::Mistake,
    },
    core::time::{
        cron::Cron,
        duration,
        instant::is_sensible,
        timing::{Bounds, Moment, Recurrence, Timing},
        zone::{Instants, Zone},
    },
};

/// The keys for a recurrence. An entry has at most one; without one, it never fires on its own.
const PATTERNS: [&str; 4] = ["cron", "every", "at", "in"];
const FIRST: [&str; 3] = ["first_in", "first_at", "first"];
const LAST: [&str; 3] = ["last_in", "last_at", "last"];
const SPAN: [&str; 2] = ["starts_at", "ends_at"];

const QUOTES: [char; 2] = ['"', '\''];

/// The formats of civil times.
const CIVIL: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
];

/// Reads the timing of the entry `name`, and the zone in which its fire times are shown.
///
/// Returns `None` if there is no valid recurrence.
pub(in crate::config) fn timing(
    name: &str,
    table: &mut Table<'_>,
    default_zone: Zone,
) -> Option<(Timing, Zone)> {
    let cron = table.with_options("cron");
    let every = table.with_options("every");
    let zone = zone(table).unwrap_or(default_zone);
    let (at, r#in) = (moment(table, &["at"], zone), moment(table, &["in"], zone));
    for (index, first) in PATTERNS.into_iter().enumerate() {
        let others = &PATTERNS[index + 1..];
        for second in others {
            table.not_both(first, second);
        }
    }
    let options = cron.or(every).and_then(|(_, options)| options);
    meaningless(table, options.is_some());
    let recurrence = match (cron, every) {
        (Some((text, _)), _) => cron_recurrence(name, table, text, zone),
        (None, Some((interval, _))) => interval_recurrence(table, interval),
        (None, None) => Some(at.or(r#in).map_or(Recurrence::Manual, Recurrence::Once)),
    };
    // The bounds are read even without a valid recurrence, to find their errors.
    let mut timing = Timing::of(recurrence.clone().unwrap_or(Recurrence::Manual));
    let mut bounds = *timing.bounds();
    bound(&mut bounds, table, zone);
    if let Some(options) = options {
        let mut options = table.inner(options);
        for group in [&FIRST[..], &LAST, &["times"]] {
            let one = group.iter().find(|key| table.has(key));
            let other = group.iter().find(|key| options.has(key));
            if let (Some(one), Some(other)) = (one, other) {
                options.not_beside(other, one);
            }
        }
        bound(&mut bounds, &mut options, zone);
        table.absorb(options);
    }
    bounds.starts_at = instant(table, "starts_at", zone);
    bounds.ends_at = instant(table, "ends_at", zone);
    bounds.jitter = table
        .duration("jitter")
        .map_or(bounds.jitter, Located::into_inner);
    timing.bound(|it| *it = bounds);
    if recurrence.is_some() {
        senseless(&timing, table);
    }
    let zone = match recurrence? {
        Recurrence::Cron { zone, .. } => zone,
        _ => zone,
    };
    Some((timing, zone))
}

/// Returns the zone that the table names.
pub(in crate::config) fn zone(table: &mut Table<'_>) -> Option<Zone> {
    let name = table.text("timezone")?;
    table.keep(name.span(), name.get_ref().parse().map_err(Mistake::Zone))
}

fn cron_recurrence<'t>(
    name: &str,
    table: &mut Table<'t>,
    text: &'t Node<'t>,
    zone: Zone,
) -> Option<Recurrence> {
    let text = table.as_text(text)?;
    let cron = Cron::parse(text.get_ref(), name).map_err(|error| {
        table.report(table.part(&text, error.span.clone()), Mistake::Cron(error));
    });
    let cron = cron.ok()?;
    if let Some(comma) = Cron::empty_item(text.get_ref()) {
        table.report(table.part(&text, comma), Mistake::EmptyItem);
    }
    let zone = cron.zone().unwrap_or(zone);
    Some(Recurrence::Cron { cron, zone })
}

fn interval_recurrence<'t>(table: &mut Table<'t>, interval: &'t Node<'t>) -> Option<Recurrence> {
    let interval = table.as_duration(interval)?;
    let every = expression::interval(*interval.get_ref());
    table.keep(interval.span(), every).map(Recurrence::Every)
}

/// Reports keys that have no effect because other keys are missing.
fn meaningless(table: &mut Table<'_>, with_options: bool) {
    let repeats = table.has("cron") || table.has("every");
    if !repeats {
        for key in FIRST.into_iter().chain(LAST).chain(SPAN).chain(["times"]) {
            table.not_alone(key, "`cron` or `every`");
        }
    }
    if !repeats && !table.has("at") && !table.has("in") {
        table.not_alone("jitter", "a timing");
    }
    let mut times = FIRST
        .into_iter()
        .chain(LAST)
        .chain(SPAN)
        .chain(["cron", "at", "in"]);
    if !with_options && !times.any(|key| table.has(key)) {
        table.not_alone("timezone", "`cron` or a time");
    }
}

/// Reports bounds with which an entry never fires, and jitter that is too long.
fn senseless(timing: &Timing, table: &mut Table<'_>) {
    let second = TimeDelta::seconds(1);
    let bounds = timing.bounds();
    if let (Some(start), Some(end)) = (bounds.starts_at, bounds.ends_at) {
        // Without a named first fire, the first fire is at the start, or at the first match of the recurrence after it.
        let first = timing.recurrence.next_after(start, start - second);
        if bounds.first.is_none() && first.is_none_or(|first| first >= end) || end <= start {
            table.report_key("ends_at", Mistake::NoSpan);
        }
    }
    let over = match (bounds.first, bounds.last) {
        (Some(Moment::At(first)), Some(Moment::At(last))) => first >= last,
        (Some(Moment::In(first)), Some(Moment::In(last))) => first >= last,
        _ => false,
    };
    if over {
        for key in LAST {
            table.report_key(key, Mistake::LastBeforeFirst);
        }
    }
    if let Recurrence::Every(every) = timing.recurrence
        && bounds.jitter >= every.interval()
    {
        table.report_key("jitter", Mistake::Jitter);
    }
}

/// Reads the first fire, the last fire and `times`, from an entry or from the options of its recurrence.
fn bound(bounds: &mut Bounds, table: &mut Table<'_>, zone: Zone) {
    bounds.first = moment(table, &FIRST, zone).or(bounds.first);
    bounds.last = moment(table, &LAST, zone).or(bounds.last);
    if let Some(value) = table.value("times") {
        let times = value.get_ref().as_integer();
        let times = times
            .and_then(|times| u32::try_from(times).ok())
            .filter(|times| *times > 0);
        bounds.times = table
            .keep(value.span(), times.ok_or(Mistake::Times))
            .or(bounds.times);
    }
}

/// Reads a moment from the one of the `keys` that the table has.
///
/// It is a duration since the entry is first seen, or a time.
fn moment(table: &mut Table<'_>, keys: &[&'static str], zone: Zone) -> Option<Moment> {
    let mut found = None;
    for (index, key) in keys.iter().enumerate() {
        for second in &keys[index + 1..] {
            table.not_both(key, second);
        }
        if let Some(value) = table.value(key) {
            let text = table.literal(value.span());
            let moment = match value.get_ref() {
                // For a key such as `at`, a number is probably meant as a year or a date, not as seconds.
                Value::Text(text) if key.ends_with("at") && is_bare(text) => None,
                Value::Integer(number) if key.ends_with("at") && number != "0" => None,
                Value::Text(text) => parse_moment(text, zone),
                seconds @ Value::Integer(_) => seconds.as_integer().and_then(length),
                Value::Time(text, _) => parse_instant(text, zone).map(Moment::At),
                _ => None,
            };
            let mistake = || Mistake::Moment(text.trim_matches(QUOTES).to_owned());
            found = table
                .keep(value.span(), moment.ok_or_else(mistake))
                .or(found);
        }
    }
    found
}

fn instant(table: &mut Table<'_>, key: &'static str, zone: Zone) -> Option<DateTime<Utc>> {
    let value = table.value(key)?;
    let literal = table.literal(value.span());
    let instant = match value.get_ref() {
        Value::Text(text) => parse_instant(text, zone),
        Value::Time(text, _) => parse_instant(text, zone),
        _ => None,
    };
    let mistake = || Mistake::Instant(literal.trim_matches(QUOTES).to_owned());
    table.keep(value.span(), instant.ok_or_else(mistake))
}

fn is_bare(text: &str) -> bool {
    text != "0" && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_moment(text: &str, zone: Zone) -> Option<Moment> {
    if text.trim() == "now" {
        return length(0);
    }
    match duration::parse(text) {
        Ok(parsed) if parsed.subsec_nanos() == 0 => length(parsed.num_seconds()),
        Ok(_) => None,
        Err(_) => parse_instant(text, zone).map(Moment::At),
    }
}

fn length(seconds: i64) -> Option<Moment> {
    let length = in_range(TimeDelta::try_seconds(seconds)?).ok()?;
    Some(Moment::In(length))
}

/// Parses RFC 3339, a civil time in `zone`, or a date, which means its midnight. Returns whole seconds.
///
/// A civil time in a gap is the end of the gap, and in a fold it is in the first pass, as for fires. Returns `None` for
/// instants that are not from 1970 to 2199.
fn parse_instant(text: &str, zone: Zone) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let rfc3339 = DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|at| at.to_utc());
    let at = rfc3339.or_else(|| civil_instant(text, zone))?;
    // Sums with these instants cannot overflow. The conversion turns a leap second into the second before it.
    is_sensible(at).then(|| DateTime::from_timestamp(at.timestamp(), 0))?
}

fn civil_instant(text: &str, zone: Zone) -> Option<DateTime<Utc>> {
    let midnight = || {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Some(date.and_time(NaiveTime::MIN))
    };
    let mut forms = CIVIL
        .iter()
        .map(|form| NaiveDateTime::parse_from_str(text, form));
    match zone.instants(forms.find_map(Result::ok).or_else(midnight)?)? {
        Instants::Once(at) | Instants::Twice { first: at, .. } | Instants::Never { end: at } => {
            Some(at)
        }
    }
}

#[cfg(test)]
mod tests;

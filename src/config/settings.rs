//! Parses the values of flags and environment variables, with one function for each kind of value.
//!
//! The errors do not name the flag, because clap adds its name.

use std::{fs, path::Path, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use crate::core::time::{duration, instant::is_sensible, zone::Zone};

/// Parses the length of a lease: seconds (as in `LOCK_TIMEOUT` of resque-scheduler) or text such as `15s`.
///
/// # Errors
/// Returns what is expected if the length is not from one second to one day.
pub fn lease(text: &str) -> Result<Duration, String> {
    from_to(text, TimeDelta::seconds(1), "15s")
}

/// Parses a polling interval: seconds, which may have a fraction, or text such as `0.25s`.
///
/// # Errors
/// Returns what is expected if the interval is not from 10 ms to one day.
pub fn interval(text: &str) -> Result<Duration, String> {
    from_to(text, TimeDelta::milliseconds(10), "0.5s")
}

/// Parses the maximum difference between a leader's clock and Redis' clock: seconds or text such as `1m`.
///
/// `0` means that any difference is allowed.
///
/// # Errors
/// Returns what is expected if the difference is neither 0 nor from one second to one day.
pub fn max_clock_skew(text: &str) -> Result<TimeDelta, String> {
    let length = duration::parse(text).map_err(|error| format!("{error}; {}", error.help))?;
    let valid = length.is_zero() || (TimeDelta::seconds(1)..=LONGEST).contains(&length);
    valid.then_some(length).ok_or_else(|| {
        "expected at least 1s and at most 1d, for example `30s`, or 0 for any distance".to_owned()
    })
}

/// The maximum of leases, intervals and clock differences.
const LONGEST: TimeDelta = TimeDelta::days(1);

fn from_to(text: &str, least: TimeDelta, example: &str) -> Result<Duration, String> {
    let length = duration::parse(text).map_err(|error| format!("{error}; {}", error.help))?;
    let in_range = (least..=LONGEST).contains(&length);
    let length = in_range.then(|| length.to_std().ok()).flatten();
    let (least, most) = (duration::display(least), duration::display(LONGEST));
    length.ok_or_else(|| {
        format!("expected at least {least} and at most {most}, for example `{example}`")
    })
}

/// Parses a size in bytes: a whole number, optionally followed by `KB`, `MB` or `GB` for 2^10, 2^20 or 2^30 bytes.
///
/// # Errors
/// Returns what is expected if the text is not a size of at least one byte.
pub fn size(text: &str) -> Result<u64, String> {
    let end = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &*text[end.len()..].to_ascii_uppercase() {
        "" | "B" => Some(1),
        "K" | "KB" | "KIB" => Some(1 << 10),
        "M" | "MB" | "MIB" => Some(1 << 20),
        "G" | "GB" | "GIB" => Some(1 << 30),
        _ => None,
    };
    let size = end.trim().parse::<u64>().ok();
    let size = size
        .zip(unit)
        .and_then(|(size, unit)| size.checked_mul(unit));
    let size = size.filter(|size| *size > 0);
    size.ok_or_else(|| "expected a size in bytes, for example `65536` or `64MB`".to_owned())
}

/// Parses the maximum size of a delayed item, in bytes or with a unit.
///
/// The limit is 64 MiB because the quarantine record of an item can be six times as long as the item, and Redis accepts
/// at most 512 MiB in one string.
///
/// # Errors
/// Returns what is expected if the size is not from 1 KiB to 64 MiB.
pub fn item_size(text: &str) -> Result<usize, String> {
    let bytes = size(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes
        .filter(|bytes| (1 << 10..=64 << 20).contains(bytes))
        .ok_or_else(|| "expected a size from `1KB` to `64MB`, for example `16MB`".to_owned())
}

/// Parses a time zone in one of the forms that POSIX allows for `TZ`.
///
/// These are a name, a name after a `:`, and the path of a zone file such as `/etc/localtime`.
///
/// # Errors
/// Returns an error if the name is unknown, with a similar known name, or if the zone of the file cannot be found.
pub fn zone(text: &str) -> Result<Zone, String> {
    let text = text.strip_prefix(':').unwrap_or(text);
    let name = if text.starts_with('/') {
        zone_of_file(text)?
    } else {
        text.to_owned()
    };
    match name.strip_prefix("posix/").unwrap_or(&name) {
        "" => Ok(Zone::UTC),
        name => name
            .parse()
            .map_err(|error: crate::core::time::zone::ZoneError| {
                let nearest = error.nearest.as_ref();
                let hint =
                    nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                format!("{error}{hint}")
            }),
    }
}

/// Returns the name of the zone whose rules a file contains, from the file's path below `zoneinfo`.
///
/// The file does not have to exist: minimal container images have no zone files. `/etc/localtime` may be a copy instead
/// of a link. In this case, the name comes from `/etc/timezone`, if the file of that zone is equal to the copy.
fn zone_of_file(path: &str) -> Result<String, String> {
    let file = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    if let Some((_, name)) = file.to_string_lossy().rsplit_once("/zoneinfo/") {
        return Ok(name.to_owned());
    }
    let named = fs::read_to_string("/etc/timezone").unwrap_or_default();
    let named = named.trim();
    let rules = |path: &Path| fs::read(path).ok();
    match (
        rules(&file),
        rules(&Path::new("/usr/share/zoneinfo").join(named)),
    ) {
        (Some(ours), Some(theirs)) if path == "/etc/localtime" && ours == theirs => {
            Ok(named.to_owned())
        }
        _ => Err(format!(
            "cannot see which zone the file `{path}` is; expected a name such as `Europe/Paris`"
        )),
    }
}

/// Parses an instant from 1970 to 2199, in RFC 3339 with an offset from UTC.
///
/// # Errors
/// Returns what is expected.
pub fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let instant = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    let instant = instant.ok().filter(|at| is_sensible(*at));
    instant
        .ok_or_else(|| "expected a time from 1970 to 2199, such as 2026-11-23T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_text() {
        assert_eq!(lease("180"), Ok(Duration::from_secs(180)));
        assert_eq!(lease("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(interval("0.25"), Ok(Duration::from_millis(250)));
        let expected = "expected at least 1s and at most 1d, for example `15s`";
        assert_eq!(lease("1d"), Ok(Duration::from_secs(86_400)));
        for text in ["86401", "1000000y"] {
            assert_eq!(lease(text), Err(expected.to_owned()));
            assert!(interval(text).is_err());
        }
        assert_eq!(lease("0"), Err(expected.to_owned()));
        assert_eq!(lease("-5s"), Err(expected.to_owned()));
        assert!(lease("soon").is_err());
        assert_eq!(max_clock_skew("1m"), Ok(TimeDelta::minutes(1)));
        assert_eq!(max_clock_skew("0"), Ok(TimeDelta::zero()));
        assert_eq!(max_clock_skew("1d"), Ok(TimeDelta::days(1)));
        for text in ["0.5", "-1", "86401", "1000000y"] {
            assert!(max_clock_skew(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, bytes) in [
            ("1", 1),
            ("65536", 65_536),
            ("64MB", 64 << 20),
            ("2 gib", 2 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes));
        }
        for text in ["", "0", "-1", "MB", "1.5MB", "1TB", "99999999999GB"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(item_size("1k"), Ok(1 << 10));
        assert_eq!(item_size("64M"), Ok(64 << 20));
        for text in ["1023", "65m", "soon"] {
            assert!(item_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_zone_is_read_in_all_forms_of_the_variable_tz() {
        assert_eq!(zone(""), Ok(Zone::UTC));
        assert_eq!(zone(":Europe/Stockholm"), zone("Europe/Stockholm"));
        for file in ["/usr/share/zoneinfo", "/no/zoneinfo", ":/no/zoneinfo/posix"] {
            let text = format!("{file}/Europe/Stockholm");
            assert_eq!(zone(&text), zone("Europe/Stockholm"), "{text}");
        }
        let error = zone("/etc/passwd").unwrap_err();
        assert!(error.contains("cannot see which zone"), "{error}");
        assert_eq!(zone(":posix/Europe/Paris"), zone("Europe/Paris"));
        let error = zone("Europe/Stokholm").unwrap_err();
        assert!(
            error.contains("did you mean `Europe/Stockholm`?"),
            "{error}"
        );
    }

    #[test]
    fn an_instant_must_have_an_offset_and_be_before_2200() {
        let noon = "2026-11-23T12:00:00Z".parse().unwrap();
        assert_eq!(instant("2026-11-23T13:00:00+01:00"), Ok(noon));
        assert!(instant("2026-11-23 12:00").is_err());
        assert!(instant("2200-01-01T00:00:00Z").is_err());
        assert!(instant("9999-12-31T23:59:59Z").is_err());
    }
}

//! The range of valid instants, and sums of instants and lengths that saturate instead of overflowing.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// 2200-01-01. No cron expression and no interval fires then or later.
pub const END: DateTime<Utc> = DateTime::from_timestamp(7_258_118_400, 0).unwrap();

/// Whether `at` is from 1970 to 2199. Schedules, flags and records in Redis with any other instant are invalid.
pub fn is_sensible(at: DateTime<Utc>) -> bool {
    (DateTime::UNIX_EPOCH..END).contains(&at)
}

/// Returns `at` in RFC 3339: UTC, whole seconds.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Returns `at + length`, or the last instant that chrono can represent.
pub fn after(at: DateTime<Utc>, length: TimeDelta) -> DateTime<Utc> {
    at.checked_add_signed(length)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Returns `at - length`, or the first instant that chrono can represent.
pub fn before(at: DateTime<Utc>, length: TimeDelta) -> DateTime<Utc> {
    at.checked_sub_signed(length)
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensible_instants_are_from_1970_to_2199() {
        let is_sensible = |text: &str| is_sensible(text.parse().unwrap());
        assert!(is_sensible("1970-01-01T00:00:00Z"));
        assert!(is_sensible("2199-12-31T23:59:59.999Z"));
        assert!(!is_sensible("1969-12-31T23:59:59Z"));
        assert!(!is_sensible("2200-01-01T00:00:00Z"));
    }

    #[test]
    fn sums_saturate() {
        let (min, max) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        assert_eq!(after(max, TimeDelta::seconds(1)), max);
        assert_eq!(before(min, TimeDelta::MAX), min);
        let epoch = DateTime::UNIX_EPOCH;
        assert_eq!(
            before(after(epoch, TimeDelta::hours(1)), TimeDelta::hours(1)),
            epoch
        );
    }
}

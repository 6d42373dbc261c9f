//! Arguments and replies that several scripts share.

use chrono::{DateTime, TimeDelta, Utc};
use redis::{FromRedisValue, ParsingError, Value};

use crate::core::excerpt::excerpt;

/// Formats [`crate::store::Store::max_clock_skew`] for scripts: milliseconds, or nothing.
pub(super) fn max_skew(max_skew: Option<TimeDelta>) -> String {
    max_skew.map_or_else(String::new, |it| it.num_milliseconds().to_string())
}

/// Returns the error for a reply that the script cannot have given.
pub(super) fn unexpected(value: &Value) -> ParsingError {
    ParsingError::from(format!("an answer that was not expected: {value:?}"))
}

/// Reads Redis' error text and shortens it for people.
pub(super) fn words(value: Value) -> Result<String, ParsingError> {
    Ok(excerpt(&String::from_redis_value(value)?).into_owned())
}

/// Converts the reply of `TIME`: seconds and microseconds.
pub(super) fn time((seconds, micros): (i64, u32)) -> Result<DateTime<Utc>, ParsingError> {
    let time = DateTime::from_timestamp(seconds, micros.saturating_mul(1000));
    time.ok_or_else(|| ParsingError::from("Redis' clock shows no date".to_owned()))
}

//! What several scripts take and answer.

use chrono::{DateTime, TimeDelta, Utc};
use redis::{FromRedisValue, ParsingError, Value};

use crate::core::excerpt::excerpt;

/// [`crate::store::Store::max_clock_skew`] as scripts take it: milliseconds, or nothing.
pub(super) fn max_skew(max_skew: Option<TimeDelta>) -> String {
    max_skew.map_or_else(String::new, |it| it.num_milliseconds().to_string())
}

/// An answer that the script of this version does not give.
pub(super) fn unexpected(value: &Value) -> ParsingError {
    ParsingError::from(format!("an answer that was not expected: {value:?}"))
}

/// Redis' words, for people.
pub(super) fn words(value: Value) -> Result<String, ParsingError> {
    Ok(excerpt(&String::from_redis_value(value)?).into_owned())
}

/// The instant that `TIME` tells, in seconds and microseconds.
pub(super) fn time((seconds, micros): (i64, u32)) -> Result<DateTime<Utc>, ParsingError> {
    let time = DateTime::from_timestamp(seconds, micros.saturating_mul(1000));
    time.ok_or_else(|| ParsingError::from("Redis' clock shows no date".to_owned()))
}

//! `fire.lua`: enqueues fires. It decides about each fire separately.

use chrono::{DateTime, FixedOffset};
use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value};

use crate::{
    core::schedule::overlap::{Guard, Overlap, SkipReason},
    store::{
        keys::Keys,
        limits::Limits,
        port::fires::{Fire, FireOutcome},
        scripts::reply::{self, words},
    },
};

script!("history.lua", "fire.lua");

/// Format of `last_enqueued_at` in resque-scheduler 5.0: as Ruby prints a time.
pub(in crate::store) const STAMP: &str = "%Y-%m-%d %H:%M:%S %z";

/// Builds the call in which `holder` enqueues `fires` at `now`, within `limits`.
pub(in crate::store) fn call(
    keys: &Keys,
    holder: &str,
    fires: &[Fire<'_>],
    now: DateTime<FixedOffset>,
    limits: Limits,
) -> ScriptInvocation<'static> {
    let mut call = SCRIPT.prepare_invoke();
    call.key(keys.lock()).key(keys.fired()).key(keys.fires());
    call.key(keys.last_enqueued_at()).key(keys.stamps());
    call.key(keys.queues());
    call.arg(holder)
        .arg(now.format(STAMP).to_string())
        .arg(format!("{}{}", now.timestamp(), keys.stamp_prefix()))
        .arg(fires.len())
        .arg(reply::max_skew(limits.clock_skew))
        .arg(keys.queue(""))
        .arg(keys.workers())
        .arg(keys.history(""))
        .arg(limits.history)
        .arg(now.timestamp_millis())
        .arg(keys.paused());
    for fire in fires {
        let times = fire
            .times
            .map_or_else(String::new, |times| times.to_string());
        call.arg(fire.name)
            .arg(times)
            .arg(fire.fire_time.timestamp());
        call.arg(fire.queue)
            .arg(&*fire.payload)
            .arg(fire.cause.outcome().as_str())
            .arg(fire.lateness.num_milliseconds());
    }
    add_guards(&mut call, fires);
    call
}

/// Adds the guards of the fires that have one.
fn add_guards(call: &mut ScriptInvocation<'_>, fires: &[Fire<'_>]) {
    for (number, fire) in (1..)
        .zip(fires)
        .filter(|(_, it)| it.guard != Guard::default())
    {
        let longest = fire.guard.max_queue_length;
        call.arg::<u64>(number)
            .arg(longest.map_or_else(String::new, |it| it.to_string()));
        let fixed_parts = fire.fixed_parts.as_deref().unwrap_or_default();
        let (overlap, fixed_parts) = match fire.guard.overlap {
            Overlap::Allow => ("", &[][..]),
            Overlap::SkipIfQueued => ("queued", fixed_parts),
            Overlap::SkipIfRunning => ("running", fixed_parts),
        };
        call.arg(overlap).arg(fixed_parts.len()).arg(fixed_parts);
    }
}

impl FromRedisValue for FireOutcome {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::Int(1) => Ok(Self::Fired),
            Value::Int(0) => Ok(Self::AlreadyFired),
            Value::Int(2) => Ok(Self::Skipped(SkipReason::QueueFull)),
            Value::Int(3) => Ok(Self::Skipped(SkipReason::Queued)),
            Value::Int(4) => Ok(Self::Skipped(SkipReason::Running)),
            Value::Int(5) => Ok(Self::HadAll),
            Value::Int(6) => Ok(Self::TooEarly),
            Value::Int(7) => Ok(Self::PutOff),
            Value::Int(8) => Ok(Self::Paused),
            other => words(other).map(Self::Rejected),
        }
    }
}

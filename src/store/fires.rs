//! What `fire.lua` is told: fires, and the guards of those that have one.

use chrono::{DateTime, FixedOffset, TimeDelta};
use redis::ScriptInvocation;

use crate::{
    core::schedule::overlap::{Guard, Overlap},
    store::{Fire, Keys, scripts},
};

/// As Ruby prints a time, which is how resque-scheduler 5.0 writes `last_enqueued_at`.
pub(super) const STAMP: &str = "%Y-%m-%d %H:%M:%S %z";

/// Adds the keys and arguments of `fires`, which `holder` enqueues unless they are further ahead of Redis' clock
/// than `max_skew`.
pub(super) fn add(
    call: &mut ScriptInvocation<'_>,
    keys: &Keys,
    holder: &str,
    fires: &[Fire<'_>],
    now: DateTime<FixedOffset>,
    max_skew: Option<TimeDelta>,
) {
    call.key(keys.lock()).key(keys.fired()).key(keys.fires());
    call.key(keys.last_enqueued_at()).key(keys.stamps());
    call.key(keys.queues());
    call.arg(holder)
        .arg(now.format(STAMP).to_string())
        .arg(now.timestamp())
        .arg(fires.len())
        .arg(scripts::max_skew(max_skew));
    for fire in fires {
        call.key(keys.queue(fire.queue));
        let times = fire
            .times
            .map_or_else(String::new, |times| times.to_string());
        call.arg(fire.name)
            .arg(times)
            .arg(fire.fire_time.timestamp());
        call.arg(fire.queue).arg(&*fire.payload);
    }
    add_guards(call, fires);
    let overlap = |fire: &Fire<'_>| fire.guard.overlap;
    if fires.iter().any(|it| overlap(it) == Overlap::SkipIfRunning) {
        call.key(keys.workers());
    }
}

/// Adds the guards of those fires that have one.
fn add_guards(call: &mut ScriptInvocation<'_>, fires: &[Fire<'_>]) {
    for (number, fire) in (1..)
        .zip(fires)
        .filter(|(_, it)| it.guard != Guard::default())
    {
        let longest = fire.guard.max_queue_length;
        call.arg::<u64>(number)
            .arg(longest.map_or_else(String::new, |it| it.to_string()));
        let pattern = fire.pattern.as_deref().unwrap_or_default();
        let (overlap, pattern) = match fire.guard.overlap {
            Overlap::Allow => ("", &[][..]),
            Overlap::SkipIfQueued => ("queued", pattern),
            Overlap::SkipIfRunning => ("running", pattern),
        };
        call.arg(overlap).arg(pattern.len()).arg(pattern);
    }
}

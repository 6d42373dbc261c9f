//! An entry that fires every second, and assertions about its fires.

use redis::Commands as _;
use rescue_scheduler::{core::firing::outcome::Outcome, store::FireRecord};
use serde_json::Value;

use super::{Redis, Scheduler, eventually};

/// An entry that fires every second and catches up all missed fires.
pub const EACH_SECOND: &str = r#"
[schedule.tick]
every = "1s"
class = "Tick"
queue = "ticks"
include_metadata = true
catch_up = "all"
"#;

/// Returns the fire time of each payload in the queue, in order.
pub fn fire_times(redis: &mut Redis) -> Vec<i64> {
    redis
        .queue("ticks")
        .iter()
        .map(|it| fire_time(it))
        .collect()
}

/// Returns the fire time in the arguments of a payload.
pub fn fire_time(payload: &str) -> i64 {
    let payload: Value = serde_json::from_str(payload).unwrap();
    payload["args"][0]["scheduled_at"].as_i64().unwrap()
}

/// Waits until at least `count` fires are in the queue.
#[track_caller]
pub fn wait_for_fires(redis: &mut Redis, scheduler: &Scheduler, count: usize) -> Vec<i64> {
    eventually(|| match fire_times(redis) {
        fires if fires.len() >= count => Ok(fires),
        fires => Err(format!("{fires:?}\n{}", scheduler.log())),
    })
}

/// Returns the fire times that are enqueued according to the entry's history, oldest first.
pub fn enqueued_by_history(redis: &mut Redis, entry: &str) -> Vec<i64> {
    let key = format!("resque:rescue_scheduler:history:{entry}");
    let records: Vec<String> = redis.connection.lrange(key, 0, -1).unwrap();
    let records = records.iter().rev();
    let records = records.map(|it| it.parse::<FireRecord>().unwrap());
    let enqueued = |it: &FireRecord| [Outcome::Enqueued, Outcome::CaughtUp].contains(&it.outcome);
    let fire_time = |it: FireRecord| it.first.timestamp();
    records.filter(enqueued).map(fire_time).collect()
}

/// Waits for `more` fires, and asserts that each second since the first fire is there once and in order.
///
/// Also asserts that the history has the same fires, as far as it goes back.
#[track_caller]
pub fn goes_on_without_a_gap(redis: &mut Redis, scheduler: &Scheduler, more: usize) -> Vec<i64> {
    let before = fire_times(redis).len();
    let fires = wait_for_fires(redis, scheduler, before + more);
    assert_gapless(&fires);
    let history = enqueued_by_history(redis, "tick");
    // Another fire may have been recorded since the queue was read.
    let recorded = history.into_iter().filter(|it| fires.contains(it));
    let recorded: Vec<i64> = recorded.collect();
    let newest = &fires[fires.len().saturating_sub(recorded.len())..];
    assert_eq!(recorded, newest, "the history is another one");
    assert!(
        recorded.len() >= fires.len().min(40),
        "{recorded:?} of {fires:?}"
    );
    fires
}

/// Asserts that consecutive seconds are there once each and in order.
#[track_caller]
pub fn assert_gapless(fires: &[i64]) {
    let expected: Vec<i64> = (fires[0]..).take(fires.len()).collect();
    assert_eq!(fires, expected, "lost, doubled or out of order");
}

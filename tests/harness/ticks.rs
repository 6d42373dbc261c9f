//! An entry that fires each second, and what is to be seen of it.

use serde_json::Value;

use super::{Redis, Scheduler, eventually};

/// Fires each second, and each second that was missed.
pub const EACH_SECOND: &str = r#"
[schedule.tick]
every = "1s"
class = "Tick"
queue = "ticks"
include_metadata = true
catch_up = "all"
"#;

/// The fire time of each payload in the queue, in order.
pub fn fire_times(redis: &mut Redis) -> Vec<i64> {
    redis
        .queue("ticks")
        .iter()
        .map(|it| fire_time(it))
        .collect()
}

/// The fire time that a payload names.
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

/// Waits for `more` fires, and for each second since the first one, once and in order.
#[track_caller]
pub fn goes_on_without_a_gap(redis: &mut Redis, scheduler: &Scheduler, more: usize) -> Vec<i64> {
    let before = fire_times(redis).len();
    let fires = wait_for_fires(redis, scheduler, before + more);
    assert_gapless(&fires);
    fires
}

/// Each second once, in order.
#[track_caller]
pub fn assert_gapless(fires: &[i64]) {
    let expected: Vec<i64> = (fires[0]..).take(fires.len()).collect();
    assert_eq!(fires, expected, "lost, doubled or out of order");
}

//! An entry that fires each second, and what is to be seen of it.

use redis::Commands as _;
use rescue_scheduler::{core::firing::outcome::Outcome, store::FireRecord};
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

/// The fire times that the history of an entry says were enqueued, oldest first.
pub fn enqueued_by_history(redis: &mut Redis, entry: &str) -> Vec<i64> {
    let key = format!("resque:rescue_scheduler:history:{entry}");
    let records: Vec<String> = redis.connection.lrange(key, 0, -1).unwrap();
    let records = records.iter().rev();
    let records = records.map(|it| it.parse::<FireRecord>().unwrap());
    let enqueued = |it: &FireRecord| [Outcome::Enqueued, Outcome::CaughtUp].contains(&it.outcome);
    let fire_time = |it: FireRecord| it.first.timestamp();
    records.filter(enqueued).map(fire_time).collect()
}

/// Waits for `more` fires, and for each second since the first one, once and in order; the history says the same of
/// the newest ones.
#[track_caller]
pub fn goes_on_without_a_gap(redis: &mut Redis, scheduler: &Scheduler, more: usize) -> Vec<i64> {
    let before = fire_times(redis).len();
    let fires = wait_for_fires(redis, scheduler, before + more);
    assert_gapless(&fires);
    let history = enqueued_by_history(redis, "tick");
    // One more may have come since.
    let told = history.into_iter().filter(|it| fires.contains(it));
    let told: Vec<i64> = told.collect();
    let newest = &fires[fires.len().saturating_sub(told.len())..];
    assert_eq!(told, newest, "the history is another one");
    assert!(told.len() >= fires.len().min(40), "{told:?} of {fires:?}");
    fires
}

/// Each second once, in order.
#[track_caller]
pub fn assert_gapless(fires: &[i64]) {
    let expected: Vec<i64> = (fires[0]..).take(fires.len()).collect();
    assert_eq!(fires, expected, "lost, doubled or out of order");
}

//! How much of a queue Redis reads for fires with a pile-up guard.

use chrono::{DateTime, TimeDelta};
use redis::Commands;
use rescue_scheduler::{
    core::{
        firing::outcome::Cause,
        schedule::overlap::{Guard, Overlap, SkipReason},
    },
    store::{Fire, FireOutcome, Store as _},
};

use crate::{harness::Redis, store::leader};

use super::{at, entry, fired, seen, skipped};

#[test]
fn only_the_newest_100_000_jobs_of_a_queue_are_searched() {
    const NEWEST: usize = 100_000;
    for lines in ["", "include_metadata = true"] {
        let schedule = entry(&format!("overlap = 'skip_if_queued'\n{lines}"));
        let mut redis = seen(&schedule);
        fired(&redis, &schedule, "12:00");
        for _ in 1..NEWEST / 1_000 {
            let () = redis
                .connection
                .rpush("resque:queue:q", vec!["other"; 1_000])
                .unwrap();
        }
        let () = redis
            .connection
            .rpush("resque:queue:q", vec!["other"; 999])
            .unwrap();
        skipped(&redis, &schedule, "13:00", "queued");
        let () = redis.connection.rpush("resque:queue:q", "other").unwrap();
        fired(&redis, &schedule, "14:00");
        skipped(&redis, &schedule, "15:00", "queued");
    }
}

#[tokio::test]
async fn all_searches_of_a_call_look_at_100_000_jobs_and_the_others_are_put_off() {
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    for queue in ["a", "b", "c"] {
        let key = format!("resque:queue:{queue}");
        let jobs = vec!["other"; 40_000];
        let () = redis.connection.rpush(key, jobs).unwrap();
    }
    for fixed_parts in [None, Some(vec!["{".to_owned(), "}".to_owned()])] {
        let first = if fixed_parts.is_none() { 1_000 } else { 2_000 };
        let fire = |name, seconds: i64| Fire {
            name,
            times: None,
            fire_time: DateTime::from_timestamp(first + seconds, 0).unwrap(),
            cause: Cause::Scheduled,
            lateness: TimeDelta::zero(),
            queue: name,
            payload: "{7}".into(),
            guard: Guard {
                overlap: Overlap::SkipIfQueued,
                max_queue_length: None,
            },
            fixed_parts: fixed_parts.clone(),
        };
        let (fired, put_off) = (FireOutcome::Fired, FireOutcome::PutOff);
        // The next fire of an entry does not overtake a fire that was put off.
        let all = [fire("a", 0), fire("b", 0), fire("c", 0), fire("c", 1)];
        let now = DateTime::UNIX_EPOCH.fixed_offset();
        let outcomes = store.fire(&all, now).await.unwrap().unwrap();
        let expected = [fired.clone(), fired.clone(), put_off.clone(), put_off];
        assert_eq!(outcomes, expected);
        let outcomes = store.fire(&all[2..3], now).await.unwrap().unwrap();
        assert_eq!(outcomes, [fired]);
        for queue in ["a", "b", "c"] {
            let key = format!("resque:queue:{queue}");
            let job: String = redis.connection.rpop(key, None).unwrap();
            assert_eq!(job, "{7}");
        }
    }
}

#[test]
fn fires_that_were_put_off_are_in_the_next_batch() {
    let entry = |number: usize| {
        let entry = entry("overlap = 'skip_if_queued'\ninclude_metadata = true");
        let entry = entry.replace("schedule.e", &format!("schedule.e{number}"));
        entry.replace("queue = 'q'", &format!("queue = 'q{number}'"))
    };
    let schedule: String = (0..4).map(entry).collect();
    let mut redis = seen(&schedule);
    for number in 0..4 {
        let key = format!("resque:queue:q{number}");
        let jobs = vec!["other"; 60_000];
        let () = redis.connection.rpush(key, jobs).unwrap();
    }
    let log = at(&redis, &schedule, "12:00");
    assert_eq!(log.matches("fired entry=").count(), 4, "{log}");
}

#[tokio::test]
async fn all_searches_of_a_call_read_ten_megabytes_and_the_others_are_put_off() {
    const EACH: usize = 10_000;
    let mut redis = Redis::start();
    let store = leader(&redis).await;
    for queue in ["a", "b"] {
        let key = format!("resque:queue:{queue}");
        let jobs = vec!["x".repeat(EACH); 2_000];
        let () = redis.connection.rpush(&key, "{7}").unwrap();
        let () = redis.connection.rpush(&key, jobs).unwrap();
    }
    let fire = |queue, seconds: i64| Fire {
        name: queue,
        times: None,
        fire_time: DateTime::from_timestamp(1_000 + seconds, 0).unwrap(),
        cause: Cause::Scheduled,
        lateness: TimeDelta::zero(),
        queue,
        payload: "{8}".into(),
        guard: Guard {
            overlap: Overlap::SkipIfQueued,
            max_queue_length: None,
        },
        fixed_parts: Some(vec!["{".to_owned(), "}".to_owned()]),
    };
    let now = DateTime::UNIX_EPOCH.fixed_offset();
    let all = [fire("a", 0), fire("b", 0)];
    let outcomes = store.fire(&all, now).await.unwrap().unwrap();
    // The identical job in queue `a` is not within the newest ten megabytes, so it is not found.
    assert_eq!(outcomes, [FireOutcome::Fired, FireOutcome::PutOff]);
    let outcomes = store.fire(&all[1..], now).await.unwrap().unwrap();
    assert_eq!(outcomes, [FireOutcome::Fired]);
    let jobs = vec!["x".repeat(EACH); 900];
    let () = redis.connection.rpush("resque:queue:a", jobs).unwrap();
    let outcomes = store.fire(&[fire("a", 1)], now).await.unwrap().unwrap();
    let queued = FireOutcome::Skipped(SkipReason::Queued);
    assert_eq!(outcomes, [queued], "nine megabytes are behind it");
}

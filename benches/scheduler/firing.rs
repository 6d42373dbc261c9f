//! Measures the lateness of delayed jobs, and of many entries that fire at one second.

use std::{
    fmt::Write as _,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use redis::{Commands as _, Connection};

use crate::bed::{Redis, Scheduler};

/// Returns the current time in milliseconds since the Unix epoch.
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
        * 1e3
}

/// Takes this number of jobs from the queue as a worker does. Returns each with its time of arrival in milliseconds.
pub fn arrivals(redis: &mut Connection, queue: &str, jobs: usize) -> Vec<(String, f64)> {
    let mut arrived = vec![];
    while arrived.len() < jobs {
        let popped = pop(redis, queue, 30);
        assert!(!popped.is_empty(), "all come within 30 seconds");
        arrived.extend(popped);
    }
    arrived
}

/// Waits for jobs for at most `seconds`, and returns each with its time of arrival in milliseconds.
pub fn pop(redis: &mut Connection, queue: &str, seconds: u32) -> Vec<(String, f64)> {
    let mut pop = redis::cmd("BLMPOP");
    pop.arg(seconds).arg(1).arg(queue);
    pop.arg("LEFT").arg("COUNT").arg(10_000);
    let popped: Option<(String, Vec<String>)> = pop.query(redis).unwrap();
    let (_, payloads) = popped.unwrap_or_default();
    let at = now();
    payloads.into_iter().map(|payload| (payload, at)).collect()
}

/// Returns the fire time in the metadata, in seconds.
pub fn fire_time(payload: &str) -> f64 {
    let fire_time = payload.rsplit(':').next().unwrap();
    fire_time.trim_end_matches("}]}").parse().unwrap()
}

/// Returns the lateness of delayed jobs in milliseconds, sorted. `each` jobs are due every second.
pub fn delayed(each: usize, seconds: u64) -> Vec<f64> {
    let mut redis = Redis::start();
    let scheduler = Scheduler::start(&redis, "");
    scheduler.wait_for("became the leader");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a time of today"
    )]
    let first = (now() / 1e3) as u64 + 2;
    for due in first..first + seconds {
        for job in 0..each {
            let item = format!(r#"{{"class":"Job","args":[{due},{job}],"queue":"late"}}"#);
            let () = redis
                .connection
                .rpush(format!("resque:delayed:{due}"), item)
                .unwrap();
        }
        let () = redis
            .connection
            .zadd("resque:delayed_queue_schedule", due, due)
            .unwrap();
    }
    let jobs = each * usize::try_from(seconds).unwrap();
    let arrived = arrivals(&mut redis.connect(), "resque:queue:late", jobs);
    let mut late: Vec<_> = arrived
        .iter()
        .map(|(payload, at)| at - due(payload) * 1e3)
        .collect();
    late.sort_by(f64::total_cmp);
    late
}

/// Returns the first argument, which is the timestamp in seconds.
fn due(payload: &str) -> f64 {
    let (_, args) = payload.split_once('[').unwrap();
    args.split([',', ']']).next().unwrap().parse().unwrap()
}

/// Returns a schedule with `count` entries.
pub fn entries(count: usize, timing: &str) -> String {
    let mut schedule = "[defaults]\nqueue = 'fired'\ninclude_metadata = true\n".to_owned();
    for entry in 0..count {
        writeln!(
            schedule,
            "[schedule.entry_{entry}]\n{timing}\nclass = 'Jobs::Report{entry}'"
        )
        .unwrap();
    }
    schedule
}

/// The fires of many entries at one second.
pub struct Burst {
    /// The lateness of the first job in the queue in milliseconds.
    pub first: f64,
    /// The lateness of the last job in the queue in milliseconds.
    pub last: f64,
}

/// Measures `times` bursts of `count` entries.
pub fn burst(count: usize, times: usize) -> Vec<Burst> {
    let redis = Redis::start();
    // All entries fire at every third second.
    let scheduler = Scheduler::start(&redis, &entries(count, "cron = '*/3 * * * * *'"));
    scheduler.wait_for("became the leader");
    let mut worker = redis.connect();
    // The first burst is skipped, because the entries may have just come into force.
    let bursts = (0..=times).map(|_| {
        let arrived = arrivals(&mut worker, "resque:queue:fired", count);
        let fire_time = fire_time(&arrived[0].0);
        let late = |(_, at): &(String, f64)| at - fire_time * 1e3;
        assert!(
            arrived
                .iter()
                .all(|(payload, _)| payload.contains(&format!("{fire_time}")))
        );
        let (first, last) = (late(&arrived[0]), late(&arrived[arrived.len() - 1]));
        Burst { first, last }
    });
    bursts.skip(1).collect()
}

/// Returns the time from the start of the process until all entries are recorded as seen, in milliseconds.
pub fn start(count: usize) -> f64 {
    let mut redis = Redis::start();
    let schedule = entries(count, "cron = '0 0 1 1 *'");
    let begin = now();
    let scheduler = Scheduler::start(&redis, &schedule);
    let seen = "resque:rescue_scheduler:seen";
    while redis.connection.hlen::<_, usize>(seen).unwrap() < count {
        thread::sleep(Duration::from_micros(200));
    }
    let ready = now() - begin;
    drop(scheduler);
    ready
}

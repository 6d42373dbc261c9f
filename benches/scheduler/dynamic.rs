//! Measures the cost of changes of dynamic entries while Redis has many records.
//!
//! The records are of entries that were removed within the last day, and of entries that are in force.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use redis::{Commands as _, Connection};

use crate::{
    bed::{Redis, Scheduler, median, wait_until},
    firing,
};

/// The length of each round of a case in seconds. One fire is due every second.
const SECONDS: u32 = 34;
const ROUNDS: usize = 3;

/// The number of dynamic entries that were set, fired and removed before the measurement.
const FORMER: usize = 100_000;
const FORMER_ENTRY: &str =
    r#"{"class":"Mail","every":["1h",{"first_in":1,"times":1}],"queue":"former"}"#;
const FORMER_QUEUE: &str = "resque:queue:former";

const ENTRIES: &str = "resque:persistent_schedules";
const CHANGED: &str = "resque:schedules_changed";
const ENTRY: &str = r#"{"class":"Mail","cron":"0 0 1 1 *","queue":"mail"}"#;

/// The queue of the entry in the schedule file.
const FIRED: &str = "resque:queue:fired";

/// The number of entries that the app writes in one command.
const CHUNK: usize = 1_000;

/// The number of commands of the app for each change: two to write it, one to check whether it is acknowledged.
const OF_A_CHANGE: u64 = 3;

/// The number of dynamic entries that were removed before, the number in force, and whether an app changes one every
/// second.
#[derive(Clone, Copy)]
struct Case {
    former: usize,
    live: usize,
    changing: bool,
}

/// The cases. The others are compared with the first one.
const CASES: [Case; 3] = [
    Case {
        former: 0,
        live: 0,
        changing: false,
    },
    Case {
        former: FORMER,
        live: 0,
        changing: true,
    },
    Case {
        former: FORMER,
        live: 10_000,
        changing: true,
    },
];

/// The results of one round of a case, or of all its rounds: the medians, and the fires and changes of all rounds.
#[derive(Default)]
pub struct Costs {
    /// The lateness of the fires of the entry in the file in milliseconds, sorted.
    pub late: Vec<f64>,
    /// The share of one core that redis-server uses.
    pub in_redis: f64,
    /// The ratio of that share to the share in the first case of the same round.
    pub ratio: f64,
    /// The share of one core that the program uses.
    pub in_us: f64,
    /// The program's commands per second, including those of scripts.
    pub commands: f64,
    /// The number of changes that the app made.
    pub changes: u32,
    /// The number of changes that were acknowledged within a second.
    pub acknowledged: u32,
}

/// Measures every case. The cases take turns.
pub fn costs() -> [Costs; 3] {
    let mut rounds = [const { vec![] }; 3];
    for _ in 0..ROUNDS {
        let mut idle = None;
        for (case, rounds) in CASES.iter().zip(&mut rounds) {
            let costs = case.measure();
            let idle = *idle.get_or_insert(costs.in_redis);
            rounds.push(Costs {
                ratio: costs.in_redis / idle,
                ..costs
            });
        }
    }
    rounds.map(of_all)
}

fn of_all(rounds: Vec<Costs>) -> Costs {
    let of = |value: fn(&Costs) -> f64| median(rounds.iter().map(value).collect());
    let mut costs = Costs {
        in_redis: of(|it| it.in_redis),
        in_us: of(|it| it.in_us),
        commands: of(|it| it.commands),
        ratio: of(|it| it.ratio),
        ..Costs::default()
    };
    for round in rounds {
        costs.late.extend(round.late);
        costs.changes += round.changes;
        costs.acknowledged += round.acknowledged;
    }
    costs.late.sort_by(f64::total_cmp);
    costs
}

impl Case {
    fn measure(self) -> Costs {
        let mut redis = Redis::start();
        self.set_entries(&mut redis.connection);
        let schedule = firing::entries(1, "cron = '* * * * * *'");
        let scheduler = Scheduler::start_with(&redis, &schedule, &["--dynamic"]);
        self.remove_former(&mut redis.connection);
        let (mut worker, mut app) = (redis.connect(), redis.connect());
        let mut work = |jobs| firing::arrivals(&mut worker, FIRED, jobs);
        // Skip fires that may be late because of the start and the removals.
        work(3);

        let over = AtomicBool::new(false);
        let begin = Instant::now();
        let (computed, redis_computed) = (scheduler.computed(), redis.computed());
        let commands: u64 = redis.info("stats", "total_commands_processed");
        let (fired, (changes, acknowledged)) = thread::scope(|scope| {
            let app = self
                .changing
                .then(|| scope.spawn(|| change(&mut app, &over)));
            let fired = work(SECONDS as usize);
            over.store(true, Relaxed);
            (fired, app.map_or((0, 0), |app| app.join().unwrap()))
        });
        let commands = redis.info::<u64>("stats", "total_commands_processed") - commands;
        // Commands of others: the first `INFO`, those of the worker, and those of the app.
        let others = 1 + u64::from(SECONDS) + OF_A_CHANGE * u64::from(changes);
        let seconds = begin.elapsed().as_secs_f64();
        let share = |time: Duration| time.as_secs_f64() / seconds;
        let costs = Costs {
            late: lateness(&fired),
            in_redis: share(redis.computed().saturating_sub(redis_computed)),
            in_us: share(scheduler.computed().saturating_sub(computed)),
            commands: f64::from(u32::try_from(commands - others).unwrap()) / seconds,
            changes,
            acknowledged,
            ratio: 1.0,
        };
        // Redis still has the records of the removed entries, because they left less than a day ago.
        assert!(Self::least_records(&mut redis.connection) >= self.former);
        costs
    }

    /// Sets all entries before the scheduler starts: entries that stay, and entries that fire once.
    fn set_entries(self, redis: &mut Connection) {
        let former = (0..self.former).map(|number| (format!("former_{number}"), FORMER_ENTRY));
        let live = (0..self.live).map(|number| (format!("live_{number}"), ENTRY));
        let entries: Vec<_> = former.chain(live).collect();
        for entries in entries.chunks(CHUNK) {
            let () = redis.hset_multiple(ENTRIES, entries).unwrap();
        }
    }

    /// Removes the entries that fire once after all have fired.
    ///
    /// Waits until the scheduler has marked their records as those of entries that left the schedule.
    fn remove_former(self, redis: &mut Connection) {
        wait_until(|| redis.llen::<_, usize>(FORMER_QUEUE).unwrap() == self.former);
        let names: Vec<_> = (0..self.former).map(|it| format!("former_{it}")).collect();
        for names in names.chunks(CHUNK) {
            let mut pipe = redis::pipe();
            pipe.hdel(ENTRIES, names).sadd(CHANGED, names);
            let () = pipe.query(redis).unwrap();
        }
        wait_until(|| !redis.exists::<_, bool>(CHANGED).unwrap());
        assert_eq!(Self::least_records(redis), self.former);
        let () = redis.del(&[FORMER_QUEUE, FIRED]).unwrap();
    }

    /// Returns the smallest number of records that one of the keys has.
    fn least_records(redis: &mut Connection) -> usize {
        let ours = ["seen", "fired", "fires", "away", "stamps"];
        let mut lengths = redis::pipe();
        for key in ours.map(|key| format!("resque:rescue_scheduler:{key}")) {
            lengths.hlen(key);
        }
        lengths.hlen("resque:delayed:last_enqueued_at");
        let lengths: Vec<usize> = lengths.query(redis).unwrap();
        lengths.into_iter().min().unwrap()
    }
}

/// Sets an entry and removes it again, with one change every second, until `over` is set.
///
/// Returns the number of changes, and the number of changes that were acknowledged within a second.
fn change(redis: &mut Connection, over: &AtomicBool) -> (u32, u32) {
    let (mut changes, mut acknowledged) = (0, 0);
    // Changes are in the middle of a second, because the scheduler looks for them at the start of a second.
    let middle = (1_500.0 - firing::now() % 1e3) / 1e3;
    let mut next = Instant::now() + Duration::from_secs_f64(middle);
    loop {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        next += Duration::from_secs(1);
        let waits: bool = redis.exists(CHANGED).unwrap();
        acknowledged += u32::from(changes > 0 && !waits);
        if over.load(Relaxed) {
            return (changes, acknowledged);
        }
        let name = format!("changing_{}", changes / 2);
        let mut change = redis::pipe();
        if changes % 2 == 0 {
            change.hset(ENTRIES, &name, ENTRY);
        } else {
            change.hdel(ENTRIES, &name);
        }
        change.sadd(CHANGED, &name);
        let () = change.exec(redis).unwrap();
        changes += 1;
    }
}

/// Returns the lateness of the jobs in milliseconds, sorted. They are of one entry that fires every second.
fn lateness(fired: &[(String, f64)]) -> Vec<f64> {
    let late = |(payload, at): &(String, f64)| at - firing::fire_time(payload) * 1e3;
    let fire_times: Vec<_> = fired.iter().map(|(it, _)| firing::fire_time(it)).collect();
    let mut steps = fire_times.windows(2).map(|it| it[1] - it[0]);
    assert!(steps.all(|step| (step - 1.0).abs() < 0.1));
    let mut late: Vec<_> = fired.iter().map(late).collect();
    late.sort_by(f64::total_cmp);
    late
}

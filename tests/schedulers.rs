//! The status that each scheduler process writes to Redis.

use nix::sys::signal::Signal;
use redis::Commands;
use rescue_scheduler::store::{Address, Console, Credentials, Keys, Role, Scheduler};

use crate::harness::{self, Program, Redis, eventually};

const ALL: &str = "resque:rescue_scheduler:schedulers";

/// Returns the schedulers that are listed, with the names that they use in the leader's lock.
fn there(redis: &Redis) -> Vec<(String, Scheduler)> {
    let address = Address::parse(redis.url(), Credentials::default()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let console = Console::open(&address, Keys::new("resque", None)).unwrap();
        console.schedulers().await.unwrap()
    })
}

/// Waits until the listed schedulers have these process ids and roles.
fn are_there(redis: &Redis, mut expected: Vec<(u32, Role)>) -> Vec<(String, Scheduler)> {
    expected.sort_unstable_by_key(|(pid, _)| *pid);
    eventually(|| {
        let all = there(redis);
        let mut found: Vec<_> = all.iter().map(|(_, it)| (it.pid, it.role)).collect();
        found.sort_unstable_by_key(|(pid, _)| *pid);
        if found == expected {
            Ok(all)
        } else {
            Err(format!("{found:?}, not {expected:?}"))
        }
    })
}

fn program(redis: &Redis) -> harness::Scheduler {
    let program = Program::on(redis).args(["--lease", "2"]);
    program
        .schedule("[schedule.e]\ncron = '@yearly'\nqueue = 'q'")
        .start()
}

#[test]
fn each_process_lists_its_status_until_it_ends() {
    let redis = Redis::start();
    let mut leader = program(&redis);
    leader.wait_for("became the leader holder=");
    let mut follower = program(&redis);
    let all = are_there(
        &redis,
        vec![
            (leader.pid(), Role::Leading),
            (follower.pid(), Role::Following),
        ],
    );
    for (holder, scheduler) in &all {
        assert_eq!(*holder, format!("{}:{}", scheduler.host, scheduler.pid));
        assert_eq!(scheduler.version, env!("CARGO_PKG_VERSION"));
        assert_eq!(scheduler.problems, Vec::<String>::new());
        assert_eq!(scheduler.schedule.len(), 40);
    }
    assert_eq!(all[0].1.schedule, all[1].1.schedule);
    leader.signal(Signal::SIGTERM);
    leader.ended();
    are_there(&redis, vec![(follower.pid(), Role::Leading)]);
    follower.signal(Signal::SIGTERM);
    follower.ended();
    are_there(&redis, vec![]);
}

#[test]
fn a_problem_is_listed_at_once() {
    let mut redis = Redis::start();
    let scheduler = program(&redis);
    are_there(&redis, vec![(scheduler.pid(), Role::Leading)]);
    let () = redis
        .connection
        .zadd("resque:delayed_queue_schedule", 5, 5)
        .unwrap();
    let () = redis.connection.set("resque:delayed:5", "no list").unwrap();
    eventually(|| {
        let all = there(&redis);
        let problems = &all[0].1.problems;
        let is_said = problems.iter().any(|it| it.contains("delayed:5"));
        is_said.then_some(()).ok_or_else(|| format!("{problems:?}"))
    });
}

#[test]
fn the_status_of_a_killed_process_expires_and_the_next_leader_removes_it() {
    let mut redis = Redis::start();
    let gone = "elsewhere:7";
    let () = redis.connection.hset(ALL, gone, 1_700_000_000).unwrap();
    let mut scheduler = program(&redis);
    are_there(&redis, vec![(scheduler.pid(), Role::Leading)]);
    let known: Vec<String> = redis.connection.hkeys(ALL).unwrap();
    assert!(!known.contains(&gone.to_owned()), "{known:?}");
    scheduler.signal(Signal::SIGKILL);
    scheduler.ended();
    let (holder, _) = &there(&redis)[0];
    let left: i64 = redis.connection.pttl(format!("{ALL}:{holder}")).unwrap();
    assert!((1..=120_000).contains(&left), "{left} ms");
}

#[test]
fn keys_of_the_wrong_type_stop_no_leader() {
    let mut redis = Redis::start();
    let () = redis.connection.set(ALL, "no hash").unwrap();
    let scheduler = program(&redis);
    scheduler
        .wait_for("became the leader holder=")
        .status(" healthy");
}

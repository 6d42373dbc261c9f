//! The list of events in Redis.

use nix::sys::signal::Signal;
use redis::Commands;
use serde_json::Value;

use crate::harness::{Program, Redis, eventually};

const EVENTS: &str = "resque:rescue_scheduler:events";
const ENTRY: &str = "[schedule.e]\ncron = '@yearly'\nqueue = 'q'\n";

/// Returns the recorded events, oldest first.
fn events(redis: &mut Redis) -> Vec<Value> {
    let newest_first: Vec<String> = redis.connection.lrange(EVENTS, 0, -1).unwrap();
    let events = newest_first.iter().rev();
    events.map(|it| serde_json::from_str(it).unwrap()).collect()
}

fn verbs(redis: &mut Redis) -> Vec<String> {
    let events = events(redis);
    let verbs = events.iter().map(|it| it["verb"].as_str().unwrap());
    verbs.map(str::to_owned).collect()
}

#[test]
fn events_during_an_outage_of_redis_are_recorded_after_it() {
    let mut redis = Redis::start();
    let scheduler = Program::on(&redis).schedule(ENTRY).start();
    scheduler.wait_for("became the leader holder=");
    redis.kill();
    scheduler.wait_for("cannot use Redis");
    redis.revive();
    // The restarted server has none of the earlier events.
    eventually(|| {
        let found = verbs(&mut redis);
        let both = ["lost_redis", "reached_redis"].map(str::to_owned);
        let are_there = both.iter().all(|verb| found.contains(verb));
        are_there.then_some(()).ok_or(format!("{found:?}"))
    });
    let events = events(&mut redis);
    let lost = events.iter().find(|it| it["verb"] == "lost_redis").unwrap();
    assert!(
        lost["reason"].as_str().unwrap().contains("unavailable"),
        "{lost}"
    );
}

#[test]
fn reloads_are_recorded_with_the_process_and_the_number_of_changes() {
    let mut redis = Redis::start();
    let mut scheduler = Program::on(&redis).schedule(ENTRY).start();
    scheduler.wait_for("became the leader holder=");
    let file = scheduler.program.path("schedule.toml");
    std::fs::write(&file, ENTRY.replace("schedule.e", "schedule.f")).unwrap();
    scheduler.signal(Signal::SIGHUP);
    scheduler.wait_for("schedule reloaded");
    std::fs::write(&file, "[schedule.e]\n").unwrap();
    scheduler.signal(Signal::SIGHUP);
    scheduler.wait_for("reload rejected");
    eventually(|| {
        let found = verbs(&mut redis);
        (found.len() == 4).then_some(()).ok_or(format!("{found:?}"))
    });
    scheduler.signal(Signal::SIGTERM);
    scheduler.ended();
    let events = events(&mut redis);
    let pid = scheduler.pid().to_string();
    for event in &events {
        let actor = event["actor"].as_str().unwrap();
        assert_eq!(actor.rsplit_once(':').unwrap().1, pid);
        assert!(event["at"].as_i64().unwrap() > 1_700_000_000_000);
    }
    let of = |verb: &str| events.iter().find(|it| it["verb"] == verb).unwrap();
    assert_eq!(of("reloaded")["count"], 2);
    assert_eq!(of("rejected_reload")["count"], 1);
    assert_eq!(of("entries_left")["target"], "e");
    assert_eq!(events.first().unwrap()["verb"], "took_lease");
    assert_eq!(events.last().unwrap()["verb"], "released_lease");
}

#[test]
fn a_reload_that_changes_nothing_is_logged_but_not_recorded() {
    let mut redis = Redis::start();
    let mut scheduler = Program::on(&redis).schedule(ENTRY).start();
    scheduler.wait_for("became the leader holder=");
    scheduler.signal(Signal::SIGHUP);
    scheduler.wait_for("schedule reloaded");
    scheduler.signal(Signal::SIGTERM);
    scheduler.ended();
    // An event whose reply was late may be there twice.
    let mut verbs = verbs(&mut redis);
    verbs.dedup();
    assert_eq!(verbs, ["took_lease", "released_lease"]);
}

#[test]
fn only_the_newest_thousand_events_are_kept() {
    let mut redis = Redis::start();
    let before = vec!["older"; 1_500];
    let () = redis.connection.rpush(EVENTS, before).unwrap();
    let scheduler = Program::on(&redis).schedule(ENTRY).start();
    eventually(|| match redis.connection.llen(EVENTS) {
        Ok(1_000) => Ok(()),
        other => Err(format!("{other:?}\n{}", scheduler.log())),
    });
}

#[test]
fn an_events_key_of_the_wrong_type_is_a_problem_and_stops_nothing() {
    let mut redis = Redis::start();
    let () = redis.connection.set(EVENTS, "no list").unwrap();
    let schedule = "[schedule.e]\nevery = '1s'\nqueue = 'q'\n";
    let scheduler = Program::on(&redis).schedule(schedule).start();
    scheduler.wait_for("fired entry=\"e\"");
    scheduler.status("cannot record events in `resque:rescue_scheduler:events`");
}

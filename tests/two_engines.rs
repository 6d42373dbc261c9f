//! Two engines in one process share neither work nor events.

use std::{iter, sync::Arc};

use rescue_scheduler::{
    clock::SystemClock,
    engine::{Commands, Engine},
    events::{Event, Events, Sink},
    store::RedisStore,
};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{PATIENCE, Redis},
    store::{LEASE, options, schedule, store_as},
};

/// What an engine reported: that it became leader, or that an entry fired.
#[derive(Debug, Clone, PartialEq)]
enum Report {
    Leads(String),
    Fired(String),
}

/// Sends these reports to the test.
struct Collector(UnboundedSender<Report>);

impl Sink for Collector {
    fn note(&self, event: &Event<'_>) {
        let report = match event {
            Event::LeaseTaken { holder, .. } => Report::Leads((*holder).to_owned()),
            Event::Fired { entry, .. } => Report::Fired(entry.name.clone()),
            _ => return,
        };
        // The test may no longer be receiving.
        let _ = self.0.send(report);
    }
}

/// Returns an engine and the receiver of its reports.
fn engine(redis: &Redis, holder: &str) -> (Engine<RedisStore>, UnboundedReceiver<Report>) {
    let (sender, reports) = mpsc::unbounded_channel();
    let store = store_as(redis.url(), holder, "a", None);
    let events = Events::new(vec![Arc::new(Collector(sender))]);
    let engine = Engine::new(store, Arc::new(SystemClock), options(LEASE), events);
    (engine, reports)
}

/// Runs an engine with one entry that fires every second.
async fn run(engine: Engine<RedisStore>, entry: &str, stop: &CancellationToken) {
    let load = Arc::new(|| unreachable!("nobody asks for a reload"));
    let entry = format!("[schedule.{entry}]\nevery = '1s'\nqueue = 'q'\n");
    let (schedule, (_commands, requests)) = (schedule(&entry), Commands::new());
    engine.run(schedule, load, requests, stop.clone()).await;
}

/// Collects reports up to the second fire.
async fn until_it_fired_twice(reports: &mut UnboundedReceiver<Report>) -> Vec<Report> {
    let (mut all, mut fires) = (vec![], 0);
    while fires < 2 {
        let report = timeout(PATIENCE, reports.recv()).await;
        let report = report.unwrap_or_else(|_| panic!("only {all:?}")).unwrap();
        fires += usize::from(matches!(report, Report::Fired(_)));
        all.push(report);
    }
    all
}

/// Asserts that a stopped engine reported only its own fires, on its own server.
fn assert_alone(redis: &mut Redis, name: &str, holder: &str, reports: &[Report]) {
    let fires = reports.len() - 1;
    let mut expected = vec![Report::Fired(name.to_owned()); fires];
    expected.insert(0, Report::Leads(holder.to_owned()));
    assert_eq!(reports, expected);
    let payloads = redis.queue("q");
    assert!(payloads.len() >= fires, "{fires} fires, {payloads:?}");
    assert!(payloads.iter().all(|it| it.contains(name)), "{payloads:?}");
}

#[tokio::test]
async fn two_engines_in_one_process_lead_and_fire_each_on_its_own_server() {
    let (mut server_one, mut server_two) = (Redis::start(), Redis::start());
    let (one, mut reports_of_one) = engine(&server_one, "one:1");
    let (two, mut reports_of_two) = engine(&server_two, "two:2");
    let stop = CancellationToken::new();
    let check = async {
        let reports = tokio::join!(
            until_it_fired_twice(&mut reports_of_one),
            until_it_fired_twice(&mut reports_of_two)
        );
        stop.cancel();
        reports
    };
    let (runs_one, runs_two) = (run(one, "one", &stop), run(two, "two", &stop));
    let ((), (), (mut one, mut two)) = tokio::join!(runs_one, runs_two, check);
    one.extend(iter::from_fn(|| reports_of_one.try_recv().ok()));
    two.extend(iter::from_fn(|| reports_of_two.try_recv().ok()));
    assert_alone(&mut server_one, "one", "one:1", &one);
    assert_alone(&mut server_two, "two", "two:2", &two);
}

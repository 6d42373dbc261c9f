//! Requests to a running engine, and their answers.

use std::sync::{Arc, Mutex};

use rescue_scheduler::{
    clock::SystemClock,
    config::{self, Context, Source},
    core::schedule::Changes,
    engine::{Commands, Engine, Load, ReloadOutcome, Snapshot},
    events::Events,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{PATIENCE, Redis},
    store::{LEASE, options, schedule, store_as},
};

const YEARLY: &str = "[schedule.a]\ncron = '0 0 1 1 *'\nqueue = 'q'\n";

/// Runs an engine on `redis` until `asks` has completed. A reload reads `file`.
async fn while_it_runs<F: Future<Output = ()>>(
    redis: &Redis,
    file: &Arc<Mutex<String>>,
    asks: impl FnOnce(Commands, tokio::sync::watch::Receiver<Snapshot>) -> F,
) {
    let store = store_as(redis.url(), "here:1", "a", None);
    let engine = Engine::new(
        store,
        Arc::new(SystemClock),
        options(LEASE),
        Events::default(),
    );
    let (file, first) = (Arc::clone(file), file.lock().unwrap().clone());
    let load: Load = Arc::new(move || {
        let source = Source::new("schedule.toml", file.lock().unwrap().clone());
        config::parse(&[source], &Context::default()).map(|loaded| loaded.schedule)
    });
    let (commands, requests) = Commands::new();
    let (snapshots, stop) = (engine.health().snapshots(), CancellationToken::new());
    let run = engine.run(schedule(&first), load, requests, stop.clone());
    let asks = async {
        timeout(PATIENCE, asks(commands, snapshots)).await.unwrap();
        stop.cancel();
    };
    tokio::join!(run, asks);
}

#[tokio::test]
async fn a_reload_returns_its_outcome() {
    let redis = Redis::start();
    let file = Arc::new(Mutex::new(YEARLY.to_owned()));
    while_it_runs(&redis, &file, async |commands, _| {
        *file.lock().unwrap() = YEARLY.replace("schedule.a", "schedule.b");
        let changes = Changes {
            added: vec!["b".to_owned()],
            changed: vec![],
            removed: vec!["a".to_owned()],
        };
        match commands.reload().await {
            Some(ReloadOutcome::Reloaded(found)) => assert_eq!(found, changes),
            other => panic!("{other:?}"),
        }
        *file.lock().unwrap() = YEARLY.replace("cron", "crom");
        match commands.reload().await {
            Some(ReloadOutcome::Rejected(mistakes)) => assert_eq!(mistakes.mistakes().count(), 1),
            other => panic!("{other:?}"),
        }
        let status = commands.status().await.unwrap();
        let problem = "the last reload was rejected; the schedule has errors (see the log)";
        assert_eq!(status.problems, [problem]);
    })
    .await;
}

#[tokio::test]
async fn a_status_request_returns_the_published_snapshot() {
    let redis = Redis::start();
    let file = Arc::new(Mutex::new(YEARLY.to_owned()));
    while_it_runs(&redis, &file, async |commands, mut snapshots| {
        let leads = |snapshot: &Snapshot| snapshot.term.is_some() && snapshot.entries.is_some();
        let published = snapshots.wait_for(leads).await.unwrap().clone();
        let entries = published.entries.unwrap();
        assert_eq!((entries.total, entries.paused, entries.rejected), (1, 0, 0));
        let (next, name) = entries.next.unwrap();
        assert_eq!(name, "a");
        assert_eq!(next.format("%m-%d %H:%M:%S").to_string(), "01-01 00:00:00");
        let status = commands.status().await.unwrap();
        assert_eq!(status.leader, None);
        assert_eq!(status.problems, Vec::<String>::new());
        assert_eq!(status.entries.unwrap().total, 1);
    })
    .await;
}

#[tokio::test]
async fn requests_to_a_stopped_engine_return_none() {
    let (commands, requests) = Commands::new();
    drop(requests);
    assert!(commands.status().await.is_none());
    assert!(commands.reload().await.is_none());
}

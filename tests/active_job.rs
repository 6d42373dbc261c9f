//! Jobs recorded from ActiveJob's Resque adapter. Entries and the client write the same bytes.

use chrono::{DateTime, TimeDelta, Utc};
use redis::Commands;
use rescue_scheduler::{
    client::{ActiveJob, Client, ClientError},
    clock::StoppedClock,
};
use serde_json::{Value, json};

use crate::harness::{Program, Redis, ruby::ask_ruby, vectors};

/// The names of recorded cases, and the lines of an entry that has the same job.
const ENTRIES: [(&str, &str); 7] = [
    ("no args", ""),
    (
        "positional",
        "args_json = '[1,\"two\",3.5,null,true,[1,[2]]]'",
    ),
    (
        "hash argument with string keys",
        "args = { a = 1, b = { c = [1] } }",
    ),
    (
        "hash argument with symbol keys",
        "args = { ':a' = 1, ':b' = { ':c' = 2 } }",
    ),
    (
        "keyword arguments",
        "args = [1]\nkwargs = { region = 'eu', limit = 5 }",
    ),
    ("symbol argument", "args = { symbol = 'daily' }"),
    (
        "queue and priority set",
        "args = 'x'\nqueue = 'high'\npriority = 3",
    ),
];

fn entry(lines: &str) -> String {
    let queue = if lines.contains("queue") {
        ""
    } else {
        "queue = 'reports'"
    };
    format!(
        "[schedule.report]\ncron = '* * * * *'\nclass = 'ReportJob'\nactive_job = true\n{queue}\n{lines}\n"
    )
}

/// Returns the payload of a fire at noon.
fn fired(redis: &mut Redis, schedule: &str, queue: &str) -> String {
    for at in ["2026-11-23T11:59:30Z", "2026-11-23T12:00:00Z"] {
        let program = Program::on(redis).schedule(schedule);
        program
            .args(["--once", "--yes", "--at", at])
            .run()
            .succeeded();
    }
    let mut payloads = redis.queue(queue);
    assert_eq!(payloads.len(), 1);
    payloads.remove(0)
}

/// Returns the JSON in `text` with the string value of `key` replaced by that in `like`.
fn with_value_of(text: &str, key: &str, like: &str) -> String {
    let value = |text: &str| -> (usize, usize) {
        let key = format!("\"{key}\":\"");
        let start = text.find(&key).unwrap() + key.len();
        (start, start + text[start..].find('"').unwrap())
    };
    let ((start, end), (from, to)) = (value(text), value(like));
    [&text[..start], &like[from..to], &text[end..]].concat()
}

#[test]
fn payloads_of_entries_are_those_of_active_job() {
    let cases: Vec<Value> = serde_json::from_str(&vectors("active_job.json")).unwrap();
    let theirs = |name: &str| cases.iter().find(|case| case["name"] == name).unwrap();
    for (name, lines) in ENTRIES {
        let after = theirs(name)["after"].as_object().unwrap();
        let (key, payloads) = after
            .iter()
            .find(|(key, _)| key.contains(":queue:"))
            .unwrap();
        let theirs = payloads[0].as_str().unwrap();
        let mut redis = Redis::start();
        let ours = fired(&mut redis, &entry(lines), key.rsplit(':').next().unwrap());
        // The cases were recorded with Rails 6.1. Rails 7.1 has one more key. Ids and times differ.
        let ours = ours.replace(",\"scheduled_at\":\"2026-11-23T12:00:00.000000000Z\"", "");
        let ours = with_value_of(&ours, "job_id", theirs);
        let ours = with_value_of(&ours, "enqueued_at", theirs);
        assert_eq!(ours, theirs, "{name}");
    }
    println!(
        "{} of {} cases; the other is delayed",
        ENTRIES.len(),
        cases.len()
    );
}

#[test]
fn a_delayed_job_of_active_job_is_moved_unchanged() {
    let cases: Vec<Value> = serde_json::from_str(&vectors("active_job.json")).unwrap();
    let case = cases
        .iter()
        .find(|case| case["name"] == "delayed (wait_until)");
    let bucket = &case.unwrap()["after"]["resque:delayed:4102444800"];
    let item = bucket[0].as_str().unwrap();
    let mut redis = Redis::start();
    redis.delay(4_102_444_800, item);
    let program = Program::on(&redis).args(["--once", "--yes", "--at", "2100-01-01T00:00:00Z"]);
    { program }.run().succeeded();
    let payload = item.replace(",\"queue\":\"reports\"}", "}");
    assert_eq!(redis.queue("reports"), [payload]);
}

#[test]
fn a_fire_is_the_same_job_no_matter_which_scheduler_fires() {
    let schedule =
        entry("locale = 'sv'\nactive_job_timezone = 'Stockholm'\ninclude_metadata = true");
    let [first, again] = [(); 2].map(|()| fired(&mut Redis::start(), &schedule, "reports"));
    assert_eq!(first, again);
    let expected = "{\"class\":\"ActiveJob::QueueAdapters::ResqueAdapter::JobWrapper\",\"args\":[{\
        \"job_class\":\"ReportJob\",\"job_id\":\"f8e2756d-d234-5d08-8464-b5feeb288800\",\
        \"provider_job_id\":null,\"queue_name\":\"reports\",\"priority\":null,\
        \"arguments\":[{\"scheduled_at\":1795435200,\"_aj_symbol_keys\":[]}],\"executions\":0,\
        \"exception_executions\":{},\"locale\":\"sv\",\"timezone\":\"Stockholm\",\
        \"enqueued_at\":\"2026-11-23T12:00:00.000000000Z\",\
        \"scheduled_at\":\"2026-11-23T12:00:00.000000000Z\"}]}";
    assert_eq!(first, expected);
    let mut redis = Redis::start();
    fired(&mut redis, &schedule, "reports");
    let () = redis.connection.del("resque:queue:reports").unwrap();
    let at = ["--once", "--yes", "--at", "2026-11-23T12:01:00Z"];
    Program::on(&redis)
        .schedule(&schedule)
        .args(at)
        .run()
        .succeeded();
    let next = redis.queue("reports").remove(0);
    assert_ne!(
        next,
        with_value_of(&next, "job_id", &first),
        "each fire is a job of its own"
    );
}

#[test]
#[ignore = "needs ruby and activejob: run `make interop`"]
fn active_job_performs_with_the_metadata_before_the_keywords() {
    let metadata = json!({"scheduled_at": 1_795_435_200});
    let cases = [
        ("", json!([[metadata], {}])),
        (
            "args = ['all', { ':limit' = 5 }]",
            json!([["all", {"limit": 5}, metadata], {}]),
        ),
        (
            "args = ['all']\nkwargs = { region = 'eu' }",
            json!([["all", metadata], {"region": "eu"}]),
        ),
        (
            "kwargs = { region = 'eu' }",
            json!([[metadata], {"region": "eu"}]),
        ),
        (
            "args_json = '[1, {\"a\": 2, \"_aj_ruby2_keywords\": [\"a\"]}]'",
            json!([[1, metadata], {"a": 2}]),
        ),
    ];
    let payloads = cases.each_ref().map(|(lines, _)| {
        let schedule = entry(&format!("include_metadata = true\n{lines}"));
        fired(&mut Redis::start(), &schedule, "reports").into_bytes()
    });
    for ((lines, expected), performed) in cases.iter().zip(ask_ruby("active_job.rb", &payloads)) {
        let performed: Value = serde_json::from_str(&performed).expect(&performed);
        assert_eq!(performed, *expected, "{lines}");
    }
}

/// The jobs of the recorded cases, as an app in Rust creates them.
fn jobs() -> [(&'static str, ActiveJob); 8] {
    let report = |arguments: Value| ActiveJob::new("reports", "ReportJob", &arguments).unwrap();
    let high = ActiveJob::new("high", "ReportJob", "x").unwrap();
    let keywords = KeywordArguments {
        region: "eu",
        limit: 5,
    };
    [
        ("no args", report(json!(null))),
        (
            "positional",
            report(json!([1, "two", 3.5, null, true, [1, [2]]])),
        ),
        (
            "hash argument with string keys",
            report(json!({"a": 1, "b": {"c": [1]}})),
        ),
        (
            "hash argument with symbol keys",
            report(json!({":a": 1, ":b": {":c": 2}})),
        ),
        (
            "keyword arguments",
            report(json!(1)).kwargs(&keywords).unwrap(),
        ),
        ("symbol argument", report(json!({"symbol": "daily"}))),
        ("queue and priority set", high.priority(3)),
        ("delayed (wait_until)", report(json!("x"))),
    ]
}

#[derive(serde::Serialize)]
struct KeywordArguments {
    region: &'static str,
    limit: u8,
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Returns a client whose clock shows half a second after noon.
fn client(redis: &Redis) -> Client {
    let client = Client::open(redis.url(), "resque").unwrap();
    client.with_clock(StoppedClock(time("2026-11-23T12:00:00.5Z")))
}

/// Converts a dump to the form of Rails 6.1, which has one key less and no fractions of seconds.
///
/// Also replaces the time by that of the recording.
fn as_rails_6_1_then(text: &str) -> String {
    let delayed = r#"\"2100-01-01T00:00:00.000000000Z\""#;
    let [null, at] = ["null", delayed].map(|it| format!(r#",\"scheduled_at\":{it}"#));
    let text = text.replace(&null, "").replace(&at, "");
    text.replace("2026-11-23T12:00:00.500000000Z", "2026-11-23T17:29:43Z")
}

#[tokio::test]
async fn the_client_enqueues_as_active_job_does() {
    let cases: Vec<Value> = serde_json::from_str(&vectors("active_job.json")).unwrap();
    for (name, job) in jobs() {
        let case = cases.iter().find(|case| case["name"] == name).unwrap();
        let theirs = case["after"]
            .to_string()
            .replace("4102444800.0", "4102444800");
        let (_, id) = theirs.split_once(r#"\"job_id\":\""#).unwrap();
        let job = job.job_id(&id[..36]);
        let mut redis = Redis::start();
        let client = client(&redis);
        let enqueued = if name.starts_with("delayed") {
            let at = time("2100-01-01T00:00:00Z");
            client.enqueue_active_job_at(at, &job).await
        } else {
            client.enqueue_active_job(&job).await
        };
        enqueued.unwrap();
        let dump = redis.dump();
        let values = dump.as_object().unwrap().iter();
        let ours: Value = values
            .map(|(key, it)| (key.clone(), it["value"].clone()))
            .collect();
        assert_eq!(as_rails_6_1_then(&ours.to_string()), theirs, "{name}");
    }
    assert_eq!(jobs().len(), cases.len());
}

/// Returns the argument of the wrapper in the only payload of a queue.
fn wrapped(redis: &mut Redis, queue: &str) -> Value {
    let payloads = redis.queue(queue);
    assert_eq!(payloads.len(), 1);
    let mut payload: Value = serde_json::from_str(&payloads[0]).unwrap();
    payload["args"][0].take()
}

#[tokio::test]
async fn a_delayed_job_contains_its_time_and_is_moved_unchanged() {
    let mut redis = Redis::start();
    let client = client(&redis);
    let job = ActiveJob::new("reports", "ReportJob", &("é/", 1.5)).unwrap();
    let job = job.locale("sv").timezone("Stockholm");
    let delay = TimeDelta::milliseconds(90_250);
    client.enqueue_active_job_in(delay, &job).await.unwrap();
    let items: Vec<String> = redis
        .connection
        .lrange("resque:delayed:1795435290", 0, -1)
        .unwrap();
    let once = Program::on(&redis).args(["--once", "--yes", "--at", "2026-11-23T12:01:30Z"]);
    { once }.run().succeeded();
    let payloads = redis.queue("reports").into_iter();
    let moved: Vec<_> = payloads
        .map(|it| it.strip_suffix('}').unwrap().to_owned() + r#","queue":"reports"}"#)
        .collect();
    assert_eq!(moved, items);
    let expected = json!({
        "job_class": "ReportJob", "job_id": job.id(), "provider_job_id": null,
        "queue_name": "reports", "priority": null, "arguments": ["é/", 1.5],
        "executions": 0, "exception_executions": {}, "locale": "sv", "timezone": "Stockholm",
        "enqueued_at": "2026-11-23T12:00:00.500000000Z",
        "scheduled_at": "2026-11-23T12:01:30.750000000Z",
    });
    assert_eq!(wrapped(&mut redis, "reports"), expected);
}

#[tokio::test]
async fn a_job_whose_time_is_not_in_the_future_is_enqueued_at_once() {
    let mut redis = Redis::start();
    let client = client(&redis);
    for (queue, at) in [("same", "12:00:00.9Z"), ("past", "11:00:00Z")] {
        let job = ActiveJob::new(queue, "ReportJob", &()).unwrap();
        let at = time(&format!("2026-11-23T{at}"));
        client.enqueue_active_job_at(at, &job).await.unwrap();
        let scheduled_at = wrapped(&mut redis, queue)["scheduled_at"].take();
        let scheduled_at = time(scheduled_at.as_str().unwrap());
        assert_eq!(scheduled_at, at, "as Rails has it");
    }
}

#[test]
fn every_job_has_its_own_id() {
    let job = || ActiveJob::new("reports", "ReportJob", &()).unwrap();
    assert_ne!(job().id(), job().id());
    let id = job().id().to_owned();
    let (version, variant) = (&id[14..15], &id[19..20]);
    assert!(
        id.len() == 36 && version == "4" && "89ab".contains(variant),
        "{id}"
    );
    let named = job().job_id("7");
    assert_eq!(named.id(), "7");
}

#[test]
fn an_invalid_job_is_refused() {
    let new = |queue: &str, class: &str, arguments: Value| ActiveJob::new(queue, class, &arguments);
    for (queue, class) in [("", "ReportJob"), ("reports", "")] {
        let refused = new(queue, class, json!(null)).unwrap_err();
        assert!(matches!(refused, ClientError::Nameless { .. }), "{refused}");
    }
    let job = || new("reports", "ReportJob", json!(null)).unwrap();
    for keywords in [json!(null), json!([1]), json!("region")] {
        let refused = job().kwargs(&keywords).unwrap_err().to_string();
        assert!(
            refused.contains("keyword arguments are a struct or map"),
            "{refused}"
        );
    }
    let deep = (0..100).fold(json!([]), |inner, _| json!([inner]));
    for refused in [
        new("reports", "ReportJob", deep.clone()),
        job().kwargs(&json!({"a": deep})),
    ] {
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("ReportJob") && refused.contains("nested too deep"),
            "{refused}"
        );
    }
}

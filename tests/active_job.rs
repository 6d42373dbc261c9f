//! What ActiveJob's Resque adapter really wrote, written by ours.

use redis::Commands;
use serde_json::Value;

use crate::harness::{Program, Redis, vectors};

/// The lines of an entry that make the job of each case.
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

/// The payload of a fire at noon.
fn fired(redis: &mut Redis, schedule: &str, queue: &str) -> String {
    for at in ["2026-11-23T11:59:30Z", "2026-11-23T12:00:00Z"] {
        let program = Program::on(redis).schedule(schedule);
        program.args(["--once", "--at", at]).run().succeeded();
    }
    let mut payloads = redis.queue(queue);
    assert_eq!(payloads.len(), 1);
    payloads.remove(0)
}

/// `text` with the value of `key` as it is in `like`: a JSON string.
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
fn payloads_are_those_of_active_job() {
    let Some(vectors) = vectors("active_job.json") else {
        return;
    };
    let cases: Vec<Value> = serde_json::from_str(&vectors).unwrap();
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
        // Rails 7.1 has one key more; ids and times differ.
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
    let Some(vectors) = vectors("active_job.json") else {
        return;
    };
    let cases: Vec<Value> = serde_json::from_str(&vectors).unwrap();
    let case = cases
        .iter()
        .find(|case| case["name"] == "delayed (wait_until)");
    let bucket = &case.unwrap()["after"]["resque:delayed:4102444800"];
    let item = bucket[0].as_str().unwrap();
    let mut redis = Redis::start();
    redis.delay(4_102_444_800, item);
    let program = Program::on(&redis).args(["--once", "--at", "2100-01-01T00:00:00Z"]);
    { program }.run().succeeded();
    let payload = item.replace(",\"queue\":\"reports\"}", "}");
    assert_eq!(redis.queue("reports"), [payload]);
}

#[test]
fn a_fire_is_the_same_job_whoever_fires_it() {
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
    let at = ["--once", "--at", "2026-11-23T12:01:00Z"];
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

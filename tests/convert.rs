//! A schedule of resque-scheduler that is converted to TOML has the same entries.

use std::{fmt::Write as _, fs, path::Path};

use proptest::prelude::*;
use rescue_scheduler::{
    config::{self, Context, Loaded},
    core::time::zone::Zone,
};
use serde_json::{Value, json};

use crate::harness::Program;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/yaml");

fn load(path: &Path, environment: Option<&str>) -> Loaded {
    let context = Context {
        environment: environment.map(str::to_owned),
        zone: Zone::UTC,
    };
    let loaded = config::load(&[path.to_owned()], &context, config::MAX_SIZE);
    loaded.unwrap_or_else(|report| panic!("{report}"))
}

/// Converts the file, and asserts that the entries are the same in several environments.
#[track_caller]
fn same(path: &Path) -> String {
    let toml = config::convert(path).unwrap_or_else(|report| panic!("{report}"));
    let folder = tempfile::tempdir().unwrap();
    let converted = folder.path().join("schedule.toml");
    fs::write(&converted, &toml).unwrap();
    for environment in [None, Some("production"), Some("test")] {
        let (theirs, ours) = (load(path, environment), load(&converted, environment));
        assert!(
            theirs.schedule.entries().eq(ours.schedule.entries()),
            "{toml}"
        );
        assert_eq!(ours.warnings, []);
    }
    toml
}

#[test]
fn realistic_schedules_have_the_same_entries_in_toml() {
    let mut files: Vec<_> = fs::read_dir(DATA)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 10);
    let entries = files.iter().map(|file| {
        same(file);
        load(file, None).schedule.entries().len()
    });
    assert_eq!(entries.collect::<Vec<_>>(), [3, 5, 1, 0, 3, 3, 3, 6, 11, 3]);
}

#[test]
fn comments_are_kept_and_ignored_keys_are_noted() {
    let mut program = Program::new().args(["convert", "resque_schedule.yml"]);
    let yaml = "\
# Ask #billing first.

defaults: &defaults {rails_env: production}   # everywhere
# The orders.
cancel_orders:
  <<: *defaults
  cron: '*/5 * * * *'   # often
  # Slow.
  queue: orders
  timeout: 5   # never counted
  args:
    days: 7   # as the terms say
    since: ~
  # no more: limit

tuesdays:
  cron: 0 5 * * tue%2
  queue: orders
heartbeat: {every: 30s, queue: ops}
# The end.
";
    program.write("resque_schedule.yml", yaml);
    let toml = program.run().succeeded().output;
    insta::assert_snapshot!(toml, @r#"
    # Ask #billing first.
    # NOTE: `defaults` is left out: it never fires and names no queue.

    # everywhere
    # The orders.
    [schedule.cancel_orders]
    rails_env = "production"
    cron = "*/5 * * * *"  # often
    # Slow.
    queue = "orders"
    # NOTE: `timeout` is ignored, as in resque-scheduler.
    # never counted
    args_json = '[{"days":7,"since":null}]'
    # as the terms say
    # no more: limit

    [schedule.tuesdays]
    # NOTE: apps with et-orbi before 1.4.0 fire `tue%2` in other weeks, as `tue%2+1` does here.
    cron = "0 5 * * tue%2"
    queue = "orders"

    [schedule.heartbeat]
    every = "30s"
    queue = "ops"

    # The end.
    "#);
}

#[test]
fn a_schedule_with_errors_is_not_converted() {
    let mut program = Program::new().args(["convert", "a.yml"]);
    program.write("a.yml", "a: {every: 1h, queue: ''}\n");
    let finished = program.run();
    assert_eq!(finished.status.code(), Some(1));
    assert_eq!(finished.output, "");
    assert!(finished.log.contains("--> a.yml:1:23"), "{}", finished.log);
    let mut program = Program::new().args(["convert", "a.toml"]);
    program.write("a.toml", "");
    let log = program.run().log;
    assert!(log.contains("not a schedule in YAML"), "{log}");
}

#[test]
fn a_schedule_whose_entries_are_all_left_out_is_not_converted() {
    let mut program = Program::new().args(["convert", "resque_schedule.yml"]);
    program.write("resque_schedule.yml", "defaults:\n  crn: 0 5 * * *\n");
    let finished = program.run();
    assert_eq!(finished.status.code(), Some(1));
    assert!(
        finished.log.contains("the file has no entries"),
        "{}",
        finished.log
    );
    assert_eq!(finished.output, "");
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z:'\"<#\\\\ \u{7f}\n]{0,6}".prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

/// Generates entries as JSON, which is YAML too. An entry may have unknown keys, or never fire and name no queue.
fn entry() -> impl Strategy<Value = Value> {
    let timing = prop_oneof![
        Just(json!({"cron": "*/5 * * * *"})),
        Just(json!({"every": ["1h", {"first_in": "5m", "timeout": 5}]})),
        Just(json!({"never": true, "env": "production"})),
        Just(json!({"every": 90, "cron": "@daily", "rails_env": "test, production"})),
        Just(json!({"queue": null})),
    ];
    let ours = prop_oneof![
        Just(json!({})),
        Just(json!({"active_job": true})),
        value().prop_map(|it| json!({"active_job": true, "kwargs": {"a": it}})),
    ];
    let unknown = prop::option::of("[^<a-z]{1,6}");
    let parts = (timing, "[^<]{1,8}", "[^<]{1,8}", value(), ours, unknown);
    parts.prop_map(|(timing, class, queue, args, ours, unknown)| {
        let mut entry = json!({
            "class": class, "queue": queue, "args": args, "rescue_scheduler": ours,
        });
        let members = entry.as_object_mut().unwrap();
        members.extend(timing.as_object().unwrap().clone());
        members.extend(unknown.map(|key| (key, json!(1))));
        entry
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_schedule_is_the_same_in_toml(entries in prop::collection::hash_map("[^<]{1,6}", entry(), 0..4)) {
        // One more entry, because a file without any entry is refused.
        let mut yaml = "another: {every: 1h, queue: q}\n".to_owned();
        for (name, entry) in &entries {
            writeln!(yaml, "{}: {entry}   # a comment", Value::from(name.as_str())).unwrap();
        }
        prop_assume!(!yaml.contains("<%"));
        // Some characters that are allowed in JSON are not allowed in YAML.
        let yaml: String = yaml.chars().map(|letter| match letter {
            ' '..='~' | '\n' => letter.to_string(),
            other => format!("\\U{:08x}", u32::from(other)),
        }).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yml");
        fs::write(&path, &yaml).unwrap();
        same(&path);
    }
}

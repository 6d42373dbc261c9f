//! Schedules in YAML. This scheduler enqueues the same bytes as the real resque-scheduler did.
//!
//! Values on which resque-scheduler crashes, and values that it drops or garbles, are errors here.

mod warnings;

use rescue_scheduler::{
    config::{self, Context, Source},
    core::firing::outcome::Cause,
};
use serde::Deserialize;
use serde_json::Value;

use crate::harness::{Program, Redis, ruby::ask_ruby, vectors};

#[derive(Deserialize)]
struct Case {
    name: String,
    schedule_yaml: String,
    rails_env: Option<String>,
    fired_at_unix: i64,
    load_error: Option<String>,
    redis_after: Value,
}

/// Cases that are errors here on purpose: the name, the line of the error and the start of its message.
///
/// The list for users is in docs/migrating.md.
const MISTAKES: [(&str, &str, &str); 9] = [
    ("args float inf", ":5:", "`.inf` cannot be an argument"),
    (
        "args date",
        ":5:",
        "`2024-01-02` is a time, and JSON has no times",
    ),
    ("empty queue string", ":4:", "the queue is empty"),
    (
        "queue is a list",
        ":4:",
        "expected a string, found an array",
    ),
    ("class null", ":3:", "expected a string, found nothing"),
    (
        "rails_env is a yaml list",
        ":5:",
        "`rails_env` must be text, not a list",
    ),
    ("every bad string", ":6:", "`rubbish` is not a number"),
    ("cron bad string", ":6:", "`61` is not a minute"),
    ("erb is not evaluated", ":5:", "ERB is not evaluated"),
];

fn program(redis: &Redis, case: &Case, at: i64) -> Program {
    let at = chrono::DateTime::from_timestamp(at, 0)
        .unwrap()
        .to_rfc3339();
    let program = Program::on(redis).args(["resque_schedule.yml", "--once", "--yes", "--at", &at]);
    program.write("resque_schedule.yml", &case.schedule_yaml);
    match &case.rails_env {
        Some(environment) => program.env("RAILS_ENV", environment),
        None => program,
    }
}

#[test]
fn yaml_is_enqueued_as_the_gem_enqueues_it() {
    let cases: Vec<Case> = serde_json::from_str(&vectors("yaml.json")).unwrap();
    let mut failed = vec![];
    for case in &cases {
        let mistake = MISTAKES.iter().find(|(name, ..)| *name == case.name);
        assert!(
            case.load_error.is_none() || mistake.is_some(),
            "{}",
            case.name
        );
        let mut redis = Redis::start();
        // First seen one hour before the fire, or two hours before it for the entry with `first_in`.
        let before = if case.schedule_yaml.contains("first_in") {
            7_200
        } else {
            3_600
        };
        if let Some((_, line, start)) = mistake {
            let finished = program(&redis, case, case.fired_at_unix).run();
            let report = finished.log;
            let right =
                !finished.status.success() && report.contains(start) && report.contains(line);
            if !right || redis.dump() != serde_json::json!({}) {
                failed.push(format!(
                    "{}\n  expected: {line} {start}\n  ours: {report}",
                    case.name
                ));
            }
            continue;
        }
        for at in [case.fired_at_unix - before, case.fired_at_unix] {
            program(&redis, case, at).run().succeeded();
        }
        let mut theirs = case.redis_after.clone();
        // The gem stores an entry with `persist: true` as a dynamic entry. Here it stays an entry of its file.
        if let Some(keys) = theirs.as_object_mut() {
            keys.remove("resque:persistent_schedules");
        }
        let ours = redis.dump();
        if ours != theirs {
            failed.push(format!(
                "{}\n  theirs: {theirs}\n  ours:   {ours}",
                case.name
            ));
        }
    }
    println!("{} cases checked", cases.len());
    assert!(
        cases.len() >= 47 && failed.is_empty(),
        "{}",
        failed.join("\n")
    );
}

#[test]
fn errors_and_ignored_keys_are_shown_with_their_lines() {
    let mut program = Program::new()
        .args(["check", "b.yml"])
        .env("RAILS_ENV", "production");
    let yaml = "\
defaults: &defaults
  queue: low   # all of them
  rails_env: production
a:
  <<: *defaults
  cron: \"61 * * * *\"
  quue: x
b:
  <<: *defaults
  every:
    - 1h
    - :first_in: 5m
      :fist_in: 5m
  args: {a: [1,
    2], b: .nan}
b:
  every: 1h
c: just text
d:
  never: true
  queue: q
e:
  cron: '* * * * *'
  every: 5m
  queue: [a, b]
";
    program.write("b.yml", yaml);
    let finished = program.run();
    assert_eq!(finished.status.code(), Some(1));
    insta::assert_snapshot!(finished.log, @r#"
    warning: entry `defaults` never fires on its own
     --> b.yml:1:1
      |
    1 | defaults: &defaults
      | ^^^^^^^^
      |
    help: give it a `cron` or an `every`; if it is meant never to fire, write `never`

    error: `61` is not a minute
     --> b.yml:6:10
      |
    6 |   cron: "61 * * * *"
      |          ^^
      |
    help: minutes are 0 to 59

    warning: `quue` is ignored, as in resque-scheduler
     --> b.yml:7:3
      |
    7 |   quue: x
      |   ^^^^
      |
    help: did you mean `queue`?

    error: no queue for entry `b`
     --> b.yml:8:1
      |
    8 | b:
      | ^
      |
    help: give the entry a `queue`, or in TOML set one in `[defaults]`; the scheduler does not know the queue of its class

    error: entry `b` is given twice
      --> b.yml:16:1
       |
    16 | b:
       | ^
       |
    help: rename or remove one of them; Ruby would use only the last one

    error: expected a table, found a string
      --> b.yml:18:4
       |
    18 | c: just text
       |    ^^^^^^^^^

    warning: `every` is ignored because `cron` is given, as in resque-scheduler
      --> b.yml:24:3
       |
    24 |   every: 5m
       |   ^^^^^
       |
    help: remove it

    error: expected a string, found an array
      --> b.yml:25:10
       |
    25 |   queue: [a, b]
       |          ^^^^^^

    5 errors in 1 file; the schedule is not used
    "#);
}

#[test]
fn anchors_within_anchors_do_not_use_up_the_memory() {
    let open: Vec<_> = (0..90).map(|depth| format!("&a{depth} [")).collect();
    let open = open.concat();
    let items = "1, ".repeat(50_000);
    let yaml = format!(
        "j:\n  every: 1h\n  queue: q\n  args: {open}{items}{}\n",
        "]".repeat(90)
    );
    let mut program = Program::new().args(["check", "a.yml"]);
    program.write("a.yml", &yaml);
    let finished = program.run();
    assert_eq!(finished.status.code(), Some(1));
    assert!(finished.log.contains("expand to too many values"));
}

/// Returns the arguments of these schedules as Ruby reads them.
///
/// They are JSON text, `false` if Ruby cannot load the schedule, or `null` if it is not YAML for Ruby.
fn psych(schedules: &[String]) -> Vec<Value> {
    let line = |schedule: &String| Value::from(schedule.as_str()).to_string().into_bytes();
    let lines: Vec<_> = schedules.iter().map(line).collect();
    let answers = ask_ruby("psych.rb", &lines).into_iter();
    answers
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect()
}

/// Returns the arguments of a schedule as this scheduler reads them.
fn ours(schedule: &str) -> Option<String> {
    let source = Source::new("a.yml", schedule);
    let context = Context::default();
    let schedule = config::parse(&[source], &context).ok()?.schedule;
    let payload = schedule
        .get("j")?
        .job
        .payload(Cause::Scheduled, chrono::DateTime::UNIX_EPOCH);
    let args = payload.strip_prefix(r#"{"class":"J","args":"#)?;
    Some(args.strip_suffix('}')?.to_owned())
}

/// Whether the schedule may be valid YAML 1.2 that Ruby's parser for YAML 1.1 refuses.
///
/// Such YAML has an indicator at the start or end of a value in brackets, as in `[:a]` or `[a:]`.
fn may_be_only_yaml_1_2(schedule: &str) -> bool {
    let value = schedule.rsplit("args: ").next().unwrap_or_default();
    value.starts_with(['[', '{']) && value.contains(':')
}

fn schedule_with(args: &str) -> String {
    format!("x: &x {{b: 1, z: 5, queue: q}}\nj:\n  class: J\n  queue: q\n  args: {args}\n")
}

/// Returns scalars that look like numbers, times, words or symbols, or like nothing known.
fn scalars() -> impl Iterator<Item = String> {
    const PARTS: [&str; 38] = [
        "0", "1", "7", "8", "12", "60", "2024", "_", ",", ".", ":", "-", "+", "e", "E", "x", "b",
        "o", "f", "y", "n", "yes", "No", "on", "OFF", "true", "null", "~", " ", "/", "=", "'",
        "\"", "inf", "NaN", "-01-02", "T", ":30",
    ];
    let mut random = fastrand::Rng::with_seed(5);
    let mut scalar = move || {
        let parts = random.usize(1..6);
        (0..parts)
            .map(|_| PARTS[random.usize(..PARTS.len())])
            .collect::<String>()
    };
    let scalars = std::iter::repeat_with(move || scalar().trim().to_owned());
    // YAML 1.2 does not allow a lone `-` within brackets.
    scalars.filter(|scalar| scalar.split([',', ' ']).all(|part| part != "-"))
}

#[test]
#[ignore = "needs ruby: run `make interop`"]
fn values_are_read_as_ruby_reads_them() {
    let structures = [
        "!foo x",
        "!foo [1]",
        "!int 5",
        "!<tag:yaml.org,2002:str> 5",
        "!ruby/sym a",
        "!ruby/regexp /a/",
        "!!set {a, b}",
        "0xffffffffffffffffffffffffffffffff",
        "{a: 1, a: 2, c: 3}",
        "{1: a, 1.5: b, yes: c, ~: d, ':s': e, 010: f}",
        "{<<: *x, b: 2}",
        "{b: 2, <<: *x, z: 3}",
        "{<<: [*x, {b: 7, q: 1}], r: 2}",
        "{<<: [{b: 7, q: 1}, *x], r: 2}",
        "{'<<': *x}",
        "{!!str <<: *x}",
        "{<<: 5, <<: ~}",
        "[*x, *x]",
        "&y [1, 2]",
        "[!!str 5, !!int '5', ! 5, !!float 5, !!bool 'yes', !!null '', !!str ]",
        "[!!binary aGVsbG8=, !ruby/symbol foo, :\"a b\", :'x', ':foo', \":foo\"]",
        "|\n    line1\n    line2\n",
        ">-\n    folded\n    text\n\n    more\n",
        "\n    - |+\n      keep\n\n    - a\n",
        "\n  - 1\n  - {a: [b, c,], d: }\n",
        "\n    a:\n    - 1\n    - b: c\n      d:\n",
        "'it''s'",
        "\"\\x41\\u00e9\\/\\e\\0\\n\"",
        "\"a\n    b\"",
        "a\n    b",
        "x # no comment in it",
        "x#y",
        "[a b, c:d, {e:f}]",
        "{? a, ? b}",
        "[[[]]]",
        "- b",
        "{a: b: c}",
        "[a,,b]",
        "@at",
        "%x",
        "*y",
        "2024-02-30",
        "2024-02-29",
        "1.0e+400",
    ];
    let scalars = scalars().take(6_000);
    let scalars = scalars.flat_map(|scalar| [scalar.clone(), format!("[{scalar}]")]);
    let values = structures.map(str::to_owned).into_iter().chain(scalars);
    let schedules: Vec<_> = values.map(|args| schedule_with(&args)).collect();
    let theirs = psych(&schedules);
    assert_eq!(theirs.len(), schedules.len());
    let mut failed = vec![];
    for (schedule, theirs) in schedules.iter().zip(&theirs) {
        let ours = ours(schedule);
        // Only YAML 1.2 that Ruby's parser refuses may have another result here.
        if !(theirs.is_null() && may_be_only_yaml_1_2(schedule))
            && ours.as_deref() != theirs.as_str()
        {
            failed.push(format!("{schedule}  theirs: {theirs}\n  ours:   {ours:?}"));
        }
    }
    let refused = theirs.iter().filter(|json| !json.is_string()).count();
    println!(
        "{} values, {refused} refused by Ruby, {} differ",
        theirs.len(),
        failed.len()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

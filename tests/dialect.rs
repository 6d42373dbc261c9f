//! The golden data of the time dialect: the results of the gem for thousands of texts.
//!
//! One row cannot agree: its duration is longer than `TimeDelta` can represent, so it is refused.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rescue_scheduler::core::time::{cron::Cron, duration, zone::Zone};
use serde_json::Value;

use crate::harness::vectors;

/// Checks every row of a file, and prints how many rows of each group agree.
#[track_caller]
fn check(file: &str, agrees: impl Fn(&Value) -> Result<(), String>) {
    let text = vectors(file);
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut groups = BTreeMap::<&str, (usize, usize)>::new();
    let mut failures = Vec::new();
    for row in &rows {
        let group = row["group"].as_str().unwrap_or("all");
        let (agreeing, total) = groups.entry(group).or_default();
        *total += 1;
        match agrees(row) {
            Ok(()) => *agreeing += 1,
            Err(failure) => failures.push(format!("{row}\n  {failure}")),
        }
    }
    for (group, (agreeing, total)) in groups {
        println!("{file} {group}: {agreeing}/{total}");
    }
    assert!(
        failures.is_empty(),
        "{} of {} in {file}:\n{}",
        failures.len(),
        rows.len(),
        failures.join("\n")
    );
}

/// Checks that the cron expression fires at the instants in the row, or is refused if the row has an error.
fn cron_agrees(row: &Value) -> Result<(), String> {
    let text = row["cron"].as_str().unwrap();
    let cron = match (Cron::parse(text, ""), row["error"].as_bool()) {
        (Err(error), Some(true)) => {
            let marked = text.get(error.span);
            return marked.map(drop).ok_or("span outside".to_owned());
        }
        (Ok(cron), None) => cron,
        (parsed, _) => return Err(format!("{parsed:?}")),
    };
    let zone: Zone = row["tz"].as_str().unwrap_or("UTC").parse().unwrap();
    let mut at: DateTime<Utc> = row["from"].as_str().unwrap().parse().unwrap();
    let expected = row["next"].as_array().unwrap();
    let fires: Vec<_> = expected
        .iter()
        .map(|_| {
            at = cron.next_after(at, zone)?;
            Some(at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
        })
        .collect();
    if fires
        .iter()
        .map(Option::as_deref)
        .ne(expected.iter().map(Value::as_str))
    {
        return Err(format!("{fires:?}"));
    }
    let shown = cron.to_string();
    match Cron::parse(&shown, "another") {
        Ok(again) if again == cron && again.to_string() == shown => Ok(()),
        other => Err(format!("`{shown}` reads as {other:?}")),
    }
}

/// Checks that the text has the number of seconds in the row, or is refused if the row has none.
fn duration_agrees(row: &Value) -> Result<(), String> {
    let parsed = duration::parse(row["text"].as_str().unwrap());
    let longest = TimeDelta::MAX.num_seconds();
    let expected = row["seconds"].as_f64();
    match (&parsed, expected) {
        (Err(_), None) => Ok(()),
        #[expect(clippy::cast_precision_loss, reason = "compared with a float")]
        (Err(_), Some(seconds)) if seconds > longest as f64 => Ok(()),
        // The gem adds floats, so its result is not exact.
        (Ok(length), Some(seconds)) if (length.as_seconds_f64() - seconds).abs() < 1e-5 => Ok(()),
        _ => Err(format!("{parsed:?}")),
    }
}

#[test]
fn expressions_fire_when_the_gem_fires() {
    check("cron.jsonl", cron_agrees);
}

#[test]
fn expressions_follow_the_rules_for_daylight_saving_time() {
    check("dst.jsonl", cron_agrees);
}

#[test]
fn durations_are_as_long_as_the_gem_says() {
    check("durations.jsonl", duration_agrees);
}

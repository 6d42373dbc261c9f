//! Parses any text as a cron expression.
//!
//! Parsing never panics, an error marks a part of the text, and a valid expression parses to itself when it is shown.
//! Each of its fires is later than the one before.

#![no_main]

use chrono::{DateTime, TimeDelta, Utc};
use libfuzzer_sys::fuzz_target;
use rescue_scheduler::core::time::{cron::Cron, zone::Zone};

/// A valid expression has a fire after any instant before this one.
const WRITTEN: i64 = 1_767_139_200; // 2025-12-31: no zone is a day ahead of UTC

/// Zones for expressions that name no zone. Their clocks change never, by an hour, and by half an hour.
const ZONES: [&str; 3] = ["UTC", "America/New_York", "Australia/Lord_Howe"];

fuzz_target!(|input: (u32, &str)| {
    let (after, text) = input;
    let named = Cron::parse(text, "entry");
    match Cron::parse(text, "") {
        Ok(cron) => {
            reads_back(&cron);
            fires(&cron, after);
        }
        Err(error) => assert!(text.get(error.span).is_some(), "marked outside the text"),
    }
    if let Ok(cron) = named {
        reads_back(&cron);
    }
});

fn reads_back(cron: &Cron) {
    let shown = cron.to_string();
    let again = Cron::parse(&shown, "another").expect("what is shown reads");
    assert_eq!(again, *cron, "{shown}");
    assert_eq!(again.to_string(), shown);
}

fn fires(cron: &Cron, after: u32) {
    let zone = cron.zone().unwrap_or_else(|| zone(after));
    let mut at: DateTime<Utc> =
        DateTime::from_timestamp(after.into(), 0).expect("a year below 2107");
    for _ in 0..3 {
        let Some(next) = cron.next_after(at, zone) else {
            assert!(at.timestamp() >= WRITTEN, "no fire after {at}");
            return;
        };
        assert!(next > at, "{next} is not later than {at}");
        let just_before = next - TimeDelta::seconds(1);
        assert_eq!(cron.next_after(just_before, zone), Some(next));
        at = next;
    }
}

fn zone(after: u32) -> Zone {
    let name = ZONES[after as usize % ZONES.len()];
    name.parse().expect("a known zone")
}

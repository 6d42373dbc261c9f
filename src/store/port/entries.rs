//! Entries in force as the leader publishes them in Redis, so that commands can list them without the schedule
//! files.

use std::{borrow::Cow, num::NonZeroU64};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::{
    core::{
        schedule::{
            entry::{CatchUpPolicy, Entry},
            overlap::Overlap,
        },
        time::{
            instant::rfc3339,
            timing::{Moment, Recurrence},
        },
    },
    store::port::digest::digest,
};

/// An entry in force. docs/protocol.md describes its JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedEntry<'a> {
    /// Name of the Ruby class.
    pub class: Cow<'a, str>,
    /// Name of the queue, without namespace.
    pub queue: Cow<'a, str>,
    /// The payload, with a placeholder for the fire time ([`crate::core::job::Job::template`]).
    pub payload: Cow<'a, str>,
    /// The timing, for people.
    pub timing: String,
    /// Time zone of the expression, and of times shown to people.
    pub timezone: String,
    /// [`crate::core::schedule::entry::Origin`] as text.
    pub source: String,
    /// Which missed fires are enqueued.
    pub catch_up: CatchUpPolicy,
    /// Age in seconds up to which missed fires are enqueued.
    pub catch_up_window_s: Number,
    /// When a fire is skipped because an identical job is queued or running; `None`: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// Queue length from which on a fire is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_queue_length: Option<NonZeroU64>,
    /// Cron expression in numbers and ranges, for programs. At most one of `cron`, `every_s`, `at` and `in_s` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// An interval in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_s: Option<Number>,
    /// The time of the only fire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Seconds between when the entry is first seen and its only fire. Without any of the four, it never fires on
    /// its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_s: Option<Number>,
    /// Time of the first fire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_at: Option<String>,
    /// Seconds between when the entry is first seen and its first fire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_in_s: Option<Number>,
    /// Exclusive end of the fires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<String>,
    /// Seconds between when the entry is first seen and the exclusive end of its fires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_in_s: Option<Number>,
    /// Earliest time of a fire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<String>,
    /// Exclusive end of the fires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
    /// Maximum number of fires, counted since the entry was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Longest delay in seconds after the fire time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_s: Option<Number>,
    /// The user's description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'a, str>>,
    /// [`digest`] of the JSON without this field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl<'a> PublishedEntry<'a> {
    /// Describes an entry. The digest is not set.
    pub fn of(entry: &'a Entry) -> Self {
        let bounds = entry.timing.bounds();
        let (first_at, first_in_s) = moment(bounds.first);
        let (last_at, last_in_s) = moment(bounds.last);
        let (mut cron, mut every_s, mut once) = (None, None, None);
        match &entry.timing.recurrence {
            Recurrence::Cron { cron: it, .. } => cron = Some(it.to_string()),
            Recurrence::Every(every) => every_s = Some(seconds(every.interval())),
            Recurrence::Once(moment) => once = Some(*moment),
            Recurrence::Manual => {}
        }
        let (at, in_s) = moment(once);
        Self {
            class: entry.job.class().into(),
            queue: entry.job.queue().into(),
            payload: entry.job.template(),
            timing: entry.timing.to_string(),
            timezone: entry.zone.to_string(),
            source: entry.origin.to_string(),
            catch_up: entry.catch_up.policy,
            catch_up_window_s: seconds(entry.catch_up.window),
            overlap: Some(entry.guard.overlap).filter(|it| *it != Overlap::Allow),
            max_queue_length: entry.guard.max_queue_length,
            cron,
            every_s,
            at,
            in_s,
            first_at,
            first_in_s,
            last_at,
            last_in_s,
            starts_at: bounds.starts_at.map(rfc3339),
            ends_at: bounds.ends_at.map(rfc3339),
            times: bounds.times,
            jitter_s: Some(bounds.jitter).filter(|it| !it.is_zero()).map(seconds),
            description: entry.description.as_deref().map(Cow::Borrowed),
            digest: None,
        }
    }

    /// Returns the JSON to publish for an entry, including the digest.
    pub fn json(entry: &Entry) -> String {
        let mut published = PublishedEntry::of(entry);
        published.digest = Some(digest(published.to_json().as_bytes()));
        published.to_json()
    }

    fn to_json(&self) -> String {
        // Cannot fail: all fields are texts and numbers.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn moment(moment: Option<Moment>) -> (Option<String>, Option<Number>) {
    match moment {
        Some(Moment::At(at)) => (Some(rfc3339(at)), None),
        Some(Moment::In(length)) => (None, Some(seconds(length))),
        None => (None, None),
    }
}

/// Returns a length in seconds, as an integer if it is whole.
fn seconds(length: TimeDelta) -> Number {
    let fraction = (length.subsec_nanos() != 0).then(|| length.as_seconds_f64());
    let fraction = fraction.and_then(Number::from_f64);
    fraction.unwrap_or_else(|| length.num_seconds().into())
}

/// A change to the published entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Name of the entry, byte for byte.
    pub name: Vec<u8>,
    /// [`PublishedEntry::json`]; `None`: the entry is no longer in force.
    pub json: Option<String>,
}

/// A page of the published entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPage {
    /// Name of each entry and the [`digest`] of its JSON. A name may occur twice.
    pub digests: Vec<(Vec<u8>, String)>,
    /// Where the next page begins; `None`: this is the last page.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Context, Source, parse};

    /// Publishes the entry `a` with these lines, and reads its JSON back.
    fn published(lines: &str) -> PublishedEntry<'static> {
        let text = format!("[schedule.a]\nqueue = 'q'\n{lines}\n");
        let sources = [Source::new("s.toml", text)];
        let schedule = parse(&sources, &Context::default()).unwrap().schedule;
        let json = PublishedEntry::json(schedule.get("a").unwrap());
        let read: PublishedEntry<'_> = serde_json::from_str(&json).unwrap();
        assert_eq!(read.to_json(), json);
        read
    }

    #[test]
    fn absent_settings_are_not_published() {
        let json = serde_json::to_string_pretty(&published("")).unwrap();
        insta::assert_snapshot!(json, @r#"
        {
          "class": "a",
          "queue": "q",
          "payload": "{\"class\":\"a\",\"args\":[]}",
          "timing": "manual",
          "timezone": "UTC",
          "source": "s.toml:1",
          "catch_up": "latest",
          "catch_up_window_s": 300,
          "digest": "dde75b57cb5d0fc550d5eaac892f9f5cc749f778"
        }
        "#);
    }

    #[test]
    fn every_setting_of_an_entry_is_published() {
        let entry = published(
            "cron = '*/5 2 * * mon-fri'\ntimezone = 'Europe/Paris'\nclass = 'A::B'\nargs = [1, 'é']\n\
             include_metadata = true\ncatch_up = 'all'\ncatch_up_window = '1.5s'\noverlap = 'skip_if_running'\n\
             max_queue_length = 7\nfirst_in = '5m'\nlast_at = 2030-01-01T00:00:00Z\nstarts_at = 2027-01-01\n\
             ends_at = 2031-01-01\ntimes = 3\njitter = '30s'\ndescription = 'Says it all'",
        );
        let json = serde_json::to_string_pretty(&entry).unwrap();
        insta::assert_snapshot!(json, @r#"
        {
          "class": "A::B",
          "queue": "q",
          "payload": "{\"class\":\"A::B\",\"args\":[1,\"é\",{\"scheduled_at\":\u0002}]}",
          "timing": "cron */5 2 * * 1-5 in Europe/Paris, first in 5m, last at 2030-01-01T00:00:00Z, from 2026-12-31T23:00:00Z, until 2030-12-31T23:00:00Z, 3 times, jitter 30s",
          "timezone": "Europe/Paris",
          "source": "s.toml:1",
          "catch_up": "all",
          "catch_up_window_s": 1.5,
          "overlap": "skip_if_running",
          "max_queue_length": 7,
          "cron": "*/5 2 * * 1-5",
          "first_in_s": 300,
          "last_at": "2030-01-01T00:00:00Z",
          "starts_at": "2026-12-31T23:00:00Z",
          "ends_at": "2030-12-31T23:00:00Z",
          "times": 3,
          "jitter_s": 30,
          "description": "Says it all",
          "digest": "64609f57087a27d65416d8e34f3a194a8eeaed56"
        }
        "#);
    }

    #[test]
    fn the_digest_covers_all_other_fields() {
        let mut entry = published("every = '1h'");
        let found = entry.digest.take().unwrap();
        assert_eq!(found, digest(entry.to_json().as_bytes()));
        assert_ne!(published("every = '2h'").digest.unwrap(), found);
    }

    #[test]
    fn the_example_in_the_documentation_is_valid() {
        let page = include_str!("../../../docs/protocol.md");
        let example = r#"{"class":"Report""#;
        let json = page.lines().find(|it| it.starts_with(example)).unwrap();
        let mut entry: PublishedEntry<'_> = serde_json::from_str(json).unwrap();
        assert_eq!(entry.to_json(), json);
        let found = entry.digest.take().unwrap();
        assert_eq!(found, digest(entry.to_json().as_bytes()));
    }

    #[test]
    fn a_recurrence_is_published_for_programs() {
        let recurrence = |lines: &str| {
            let PublishedEntry {
                cron,
                every_s,
                at,
                in_s,
                ..
            } = published(lines);
            let number = |it: Option<Number>| it.map(|it| it.to_string());
            [cron, number(every_s), at, number(in_s)].map(Option::unwrap_or_default)
        };
        let cron = "0 9 * * 1 Europe/Paris";
        assert_eq!(recurrence(&format!("cron = '{cron}'")), [cron, "", "", ""]);
        assert_eq!(recurrence("every = '90m'"), ["", "5400", "", ""]);
        let at = "2030-01-01T00:00:00Z";
        assert_eq!(recurrence(&format!("at = '{at}'")), ["", "", at, ""]);
        assert_eq!(recurrence("in = '5m'"), ["", "", "", "300"]);
        assert_eq!(recurrence(""), [""; 4]);
    }
}

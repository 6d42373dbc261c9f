//! All versions of all entries of a run, in files and in Redis. The first argument of a job is its version.

use std::{collections::BTreeMap, sync::Arc};

use chrono::DateTime;
use rescue_scheduler::{
    config::{Context, dynamic_entry},
    core::schedule::{Schedule, entry::Entry},
};
use serde_json::Value;

use crate::store;

/// Entries of files, and the timings that each may have.
const OF_FILES: [(&str, &[&str]); 8] = [
    (
        "each",
        &["every = '1s'\ncatch_up = 'all'\ncatch_up_window = '1m'"],
    ),
    ("seven", &["every = '7s'"]),
    ("minute", &["cron = '* * * * *'"]),
    ("few", &["every = '2s'\ntimes = 3"]),
    ("single", &["every = '3s'\ntimes = 1"]),
    ("soon", &["in = '4s'"]),
    ("moment", &["at = 'MOMENT'"]),
    (
        "retimed",
        &["every = '2s'", "every = '3s'", "every = '5s'\ntimes = 2"],
    ),
];

/// Dynamic entries: the interval, and fields that only this scheduler has. Some replace entries of files.
const OF_APPS: [(&str, &[(&str, &str)]); 5] = [
    ("each", &[("1s", EACH)]),
    ("few", &[("2s", r#","times":3"#)]),
    ("app_each", &[("1s", EACH)]),
    ("app_single", &[("3s", r#","times":1"#)]),
    (
        "app_retimed",
        &[("2s", ""), ("3s", EACH), ("5s", r#","times":2"#)],
    ),
];
const EACH: &str = r#","catch_up":"all","catch_up_window":"1m""#;

/// For each entry of a file, by name, its version.
pub type Files = BTreeMap<String, usize>;

/// One version of an entry.
#[derive(Debug)]
pub struct Version {
    /// `None` if this version has an error.
    pub entry: Option<Arc<Entry>>,
    pub is_dynamic: bool,
}

/// All versions, by number, in the order in which they were written.
#[derive(Debug, Default)]
pub struct Versions {
    all: Vec<Version>,
    by_json: BTreeMap<Vec<u8>, usize>,
}

impl Versions {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn get(&self, number: usize) -> &Version {
        &self.all[number]
    }

    /// Returns the version of this JSON, or `None` if it has an error.
    pub fn of_json(&self, json: &[u8]) -> Option<usize> {
        let number = *self.by_json.get(json)?;
        self.all[number].entry.as_ref().map(|_| number)
    }

    /// Writes the next version of an entry for files. The one-shot is due at `moment`.
    pub fn write_for_files(
        &mut self,
        rng: &mut fastrand::Rng,
        moment: i64,
        (name, timings): (&str, &[&str]),
    ) -> usize {
        let moment = DateTime::from_timestamp(moment, 0).unwrap().to_rfc3339();
        let timing = rng.choice(timings).unwrap().replace("MOMENT", &moment);
        let number = self.all.len();
        let schedule = store::schedule(&format!(
            "[schedule.{name}]\n{timing}\nqueue = '{name}'\nargs = [{number}]\ninclude_metadata = true\n"
        ));
        let (entry, is_dynamic) = (schedule.get(name).cloned(), false);
        self.all.push(Version { entry, is_dynamic });
        number
    }

    /// Writes the next version of a dynamic entry, with an error or without.
    pub fn write_for_apps(
        &mut self,
        rng: &mut fastrand::Rng,
        (name, timings): (&str, &[(&str, &str)]),
        valid: bool,
    ) -> Vec<u8> {
        let (every, ours) = rng.choice(timings).unwrap();
        let every = if valid { every } else { "often" };
        let number = self.all.len();
        let json = format!(
            r#"{{"class":"{name}","queue":"{name}","args":[{number}],"every":"{every}","rescue_scheduler":{{"include_metadata":true{ours}}}}}"#
        );
        let read = dynamic_entry(name, &json, &Context::default());
        let entry = read.ok().map(|read| read.entry.unwrap());
        assert_eq!(entry.is_some(), valid);
        self.by_json.insert(json.clone().into(), number);
        let is_dynamic = true;
        self.all.push(Version { entry, is_dynamic });
        json.into()
    }

    pub fn schedule(&self, files: &Files) -> Schedule {
        let entries = files.values().map(|number| self.all[*number].entry.clone());
        entries.map(Option::unwrap).collect::<Vec<_>>().into()
    }

    /// Edits files: each entry may be in them or not, and some get another version.
    pub fn edit(&mut self, rng: &mut fastrand::Rng, moment: i64, all: &mut Files) -> Files {
        for (name, timings) in OF_FILES {
            if !all.contains_key(name) || rng.u8(0..6) == 0 {
                let number = self.write_for_files(rng, moment, (name, timings));
                all.insert(name.to_owned(), number);
            }
        }
        if rng.u8(0..12) == 0 {
            return Files::new();
        }
        let mut files = all.clone();
        files.retain(|_, _| rng.u8(0..3) > 0);
        files
    }
}

/// Returns a dynamic entry for an app to write.
pub fn dynamic(rng: &mut fastrand::Rng) -> (&'static str, &'static [(&'static str, &'static str)]) {
    rng.choice(OF_APPS).unwrap()
}

/// Returns the version of a job and its fire time.
pub fn of_payload(payload: &str) -> Option<(usize, i64)> {
    let payload: Value = serde_json::from_str(payload).ok()?;
    let (version, metadata) = (&payload["args"][0], &payload["args"][1]);
    let fire_time = metadata["scheduled_at"].as_i64()?;
    Some((usize::try_from(version.as_u64()?).ok()?, fire_time))
}

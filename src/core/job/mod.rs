//! Jobs as Resque stores them: a payload in a queue, an item in a delayed bucket.
//!
//! Arguments are bytes (docs/design.md, law 4). They stay the JSON text that the user or app wrote and are never
//! parsed to numbers, so `1.0e+100`, `[]` and integers above 2^63 do not change.

pub mod active_job;
pub mod delayed;
pub mod filter;
pub mod json;
pub mod payload;
pub mod ruby_number;

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use crate::core::{
    firing::outcome::Cause,
    job::{
        active_job::{ActiveJob, job_id, shown},
        payload::{appended, payload},
    },
};

/// A job that an entry of the schedule enqueues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Plain(Plain),
    ActiveJob(Box<ActiveJob>),
    Template(Box<Template>),
}

/// A job that is known only by its template, such as one of the entries published in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Template {
    entry: String,
    class: String,
    queue: String,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Plain {
    class: Box<str>,
    queue: Box<str>,
    /// The payload without metadata.
    payload: Box<str>,
    include_metadata: bool,
}

impl Template {
    fn payload(&self, cause: Cause, fire_time: DateTime<Utc>) -> String {
        let filled = self
            .text
            .replace(SECONDS, &fire_time.timestamp().to_string())
            .replace(TIME, &shown(fire_time));
        filled.replace(JOB_ID, &job_id(&self.entry, cause, fire_time))
    }
}

impl Job {
    /// Creates a job of class `class` for the queue `queue`.
    ///
    /// `arguments` is the argument list as one JSON array in compact form. With `include_metadata`, every fire appends
    /// `{"scheduled_at":<fire time>}` to it.
    pub fn new(class: &str, queue: &str, arguments: &str, include_metadata: bool) -> Self {
        debug_assert!(arguments.starts_with('[') && arguments.ends_with(']'));
        Self(Kind::Plain(Plain {
            class: class.into(),
            queue: queue.into(),
            payload: payload(class, arguments).into(),
            include_metadata,
        }))
    }

    /// Creates the job of the entry `entry` from the [`Job::template`] of its payloads.
    pub fn of_template(entry: &str, class: &str, queue: &str, template: &str) -> Self {
        let [entry, class, queue, text] = [entry, class, queue, template].map(str::to_owned);
        Self(Kind::Template(Box::new(Template {
            entry,
            class,
            queue,
            text,
        })))
    }

    /// Returns the name of the Ruby class that performs the job.
    pub fn class(&self) -> &str {
        match &self.0 {
            Kind::Plain(job) => &job.class,
            Kind::ActiveJob(job) => &job.class,
            Kind::Template(job) => &job.class,
        }
    }

    /// Returns the name of the queue, without the namespace.
    pub fn queue(&self) -> &str {
        match &self.0 {
            Kind::Plain(job) => &job.queue,
            Kind::ActiveJob(job) => &job.queue,
            Kind::Template(job) => &job.queue,
        }
    }

    /// Returns the approximate size of a payload in bytes.
    pub fn size(&self) -> usize {
        match &self.0 {
            Kind::Plain(job) => job.payload.len(),
            Kind::ActiveJob(job) => job.arguments.len(),
            Kind::Template(job) => job.text.len(),
        }
    }

    /// Returns the payload for one fire: `{"class":C,"args":[...]}`, byte for byte as Resque 3.0 writes it.
    ///
    /// `scheduled_at` is in whole seconds since the Unix epoch. The id of an ActiveJob depends on `cause` too.
    pub fn payload(&self, cause: Cause, fire_time: DateTime<Utc>) -> Cow<'_, str> {
        match &self.0 {
            Kind::Plain(job) if job.include_metadata => {
                let at = fire_time.timestamp().to_string();
                Cow::Owned(with_metadata(&job.payload, &at))
            }
            Kind::Plain(job) => Cow::Borrowed(&job.payload),
            Kind::ActiveJob(job) => Cow::Owned(job.payload(cause, fire_time)),
            Kind::Template(job) => Cow::Owned(job.payload(cause, fire_time)),
        }
    }

    /// Returns the template of the payloads of all fires.
    ///
    /// It has [`JOB_ID`], [`SECONDS`] and [`TIME`] in place of the parts that depend on the fire time.
    pub fn template(&self) -> Cow<'_, str> {
        match &self.0 {
            Kind::Plain(job) if job.include_metadata => {
                Cow::Owned(with_metadata(&job.payload, SECONDS))
            }
            Kind::Plain(job) => Cow::Borrowed(&job.payload),
            Kind::ActiveJob(job) => Cow::Owned(job.payload_of(JOB_ID, SECONDS, TIME)),
            Kind::Template(job) if job.text.contains(PARTS) => Cow::Owned(job.text.clone()),
            Kind::Template(job) => Cow::Borrowed(&job.text),
        }
    }

    /// Returns the parts that the payloads of all fires have in common; `None` if all payloads are equal.
    ///
    /// These are the texts before, between and after the parts that depend on the fire time. A part that depends on
    /// the fire time consists of ASCII letters, digits, `:`, `.` and `-`, and the text after it begins with another
    /// character.
    pub fn fixed_parts(&self) -> Option<Vec<String>> {
        match self.template() {
            Cow::Owned(template) => Some(template.split(PARTS).map(str::to_owned).collect()),
            Cow::Borrowed(_) => None,
        }
    }
}

impl From<ActiveJob> for Job {
    fn from(job: ActiveJob) -> Self {
        Self(Kind::ActiveJob(Box::new(job)))
    }
}

/// Placeholder for the id of an ActiveJob in [`Job::template`].
///
/// JSON escapes control characters, so a payload contains none of the three placeholders.
pub const JOB_ID: &str = "\u{1}";
/// Placeholder for the fire time in Unix seconds.
pub const SECONDS: &str = "\u{2}";
/// Placeholder for the fire time as ActiveJob writes it.
pub const TIME: &str = "\u{3}";

/// The three placeholders.
const PARTS: [char; 3] = ['\u{1}', '\u{2}', '\u{3}'];

/// Returns `payload`, whose last member is `args`, with the fire time as one more argument.
fn with_metadata(payload: &str, scheduled_at: &str) -> String {
    let list = &payload[..payload.len() - "}".len()];
    appended(list, &format!("{{\"scheduled_at\":{scheduled_at}}}")) + "}"
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;

    use super::*;

    #[test]
    fn metadata_is_the_last_argument() {
        let at = DateTime::from_timestamp(1_795_454_398, 0).unwrap();
        let job = |arguments| Job::new("C", "q", arguments, true);
        assert_eq!(
            job("[]").payload(Cause::Scheduled, at),
            r#"{"class":"C","args":[{"scheduled_at":1795454398}]}"#
        );
        assert_eq!(
            job("[[]]").payload(Cause::Scheduled, at),
            r#"{"class":"C","args":[[],{"scheduled_at":1795454398}]}"#
        );
        assert_eq!(
            job("[ ]").payload(Cause::Scheduled, at),
            r#"{"class":"C","args":[ {"scheduled_at":1795454398}]}"#
        );
    }

    #[test]
    fn a_job_created_from_a_template_has_the_payloads_of_the_original_job() {
        let active_job = ActiveJob {
            entry: "e".into(),
            class: "C".into(),
            queue: "q".into(),
            arguments: r#"["\u0001",1.0e+20]"#.into(),
            locale: "en".into(),
            timezone: None,
            priority: None,
            include_metadata: true,
        };
        let at = DateTime::from_timestamp(1_795_454_398, 0).unwrap();
        for job in [
            Job::new("C", "q", "[[]]", false),
            Job::new("C", "q", "[[]]", true),
            active_job.into(),
        ] {
            let same = Job::of_template("e", job.class(), job.queue(), &job.template());
            for cause in [Cause::Scheduled, Cause::Triggered, Cause::Backfilled] {
                assert_eq!(same.payload(cause, at), job.payload(cause, at));
            }
            assert_eq!(same.fixed_parts(), job.fixed_parts());
        }
    }

    #[test]
    fn the_fixed_parts_are_the_payload_without_the_parts_that_depend_on_the_fire_time() {
        let plain = |metadata| Job::new("C", "q", "[\"\\u0000\"]", metadata);
        assert_eq!(plain(false).fixed_parts(), None);
        let expected = [r#"{"class":"C","args":["\u0000",{"scheduled_at":"#, "}]}"];
        assert_eq!(plain(true).fixed_parts().unwrap(), expected);

        let active_job = |arguments: &str, include_metadata| {
            Job::from(ActiveJob {
                entry: "e".into(),
                class: "\0".into(),
                queue: "q".into(),
                arguments: arguments.into(),
                locale: "en".into(),
                timezone: None,
                priority: None,
                include_metadata,
            })
        };
        for (job, parts) in [
            (plain(true), 1),
            (active_job("[]", false), 3),
            (active_job("[]", true), 4),
            (active_job(r#"[1,{"_aj_ruby2_keywords":[]}]"#, true), 4),
        ] {
            let fixed_parts = job.fixed_parts().unwrap();
            assert_eq!(fixed_parts.len(), parts + 1);
            let is_one = |it: char| it.is_ascii_alphanumeric() || ":.-".contains(it);
            for at in [0, 1_795_454_398] {
                let at = DateTime::from_timestamp(at, 0).unwrap();
                let payload = job.payload(Cause::Scheduled, at);
                let mut rest = payload.strip_prefix(&*fixed_parts[0]).unwrap();
                for text in &fixed_parts[1..] {
                    let after = rest.trim_start_matches(is_one);
                    assert_ne!(after, rest);
                    rest = after.strip_prefix(&**text).unwrap();
                }
                assert_eq!(rest, "");
                let text = at.to_rfc3339_opts(SecondsFormat::Nanos, true);
                let seconds = at.timestamp().to_string();
                let filled = job.template().replace(SECONDS, &seconds);
                let filled = filled.replace(TIME, &text);
                let (before, after) = filled.split_once(JOB_ID).unwrap_or((&filled, ""));
                assert!(payload.starts_with(before) && payload.ends_with(after));
            }
        }
    }
}

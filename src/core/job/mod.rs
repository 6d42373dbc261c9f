//! Jobs as Resque stores them: a payload in a queue, an item in a delayed bucket.
//!
//! Arguments are bytes (docs/design.md, law 4): they are carried as the JSON text in which they came and
//! never pass through numbers, so `1.0e+100`, `[]` and integers above 2^63 arrive as they left.

pub mod active_job;
pub mod delayed;
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

/// A job of which only the template is known.
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
    /// Without metadata.
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
    /// Makes the job of class `class` for `queue`.
    ///
    /// `arguments` is the argument list as one JSON array in compact form. With
    /// `include_metadata`, each fire appends `{"scheduled_at":<fire time>}` to it.
    pub fn new(class: &str, queue: &str, arguments: &str, include_metadata: bool) -> Self {
        debug_assert!(arguments.starts_with('[') && arguments.ends_with(']'));
        Self(Kind::Plain(Plain {
            class: class.into(),
            queue: queue.into(),
            payload: payload(class, arguments).into(),
            include_metadata,
        }))
    }

    /// Makes the job of the entry `entry` whose payloads have the [`Job::template`] `template`.
    pub fn of_template(entry: &str, class: &str, queue: &str, template: &str) -> Self {
        let [entry, class, queue, text] = [entry, class, queue, template].map(str::to_owned);
        Self(Kind::Template(Box::new(Template {
            entry,
            class,
            queue,
            text,
        })))
    }

    /// Name of the Ruby class that performs the job.
    pub fn class(&self) -> &str {
        match &self.0 {
            Kind::Plain(job) => &job.class,
            Kind::ActiveJob(job) => &job.class,
            Kind::Template(job) => &job.class,
        }
    }

    /// Name of the queue, without namespace.
    pub fn queue(&self) -> &str {
        match &self.0 {
            Kind::Plain(job) => &job.queue,
            Kind::ActiveJob(job) => &job.queue,
            Kind::Template(job) => &job.queue,
        }
    }

    /// About how many bytes the payload of a fire has.
    pub fn size(&self) -> usize {
        match &self.0 {
            Kind::Plain(job) => job.payload.len(),
            Kind::ActiveJob(job) => job.arguments.len(),
            Kind::Template(job) => job.text.len(),
        }
    }

    /// The payload for one fire: `{"class":C,"args":[...]}`, byte for byte as Resque 3.0 writes it.
    ///
    /// `scheduled_at` is in whole seconds since the Unix epoch. A job of ActiveJob has an id that comes from
    /// `cause`, too.
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

    /// The payloads of all fires: [`JOB_ID`], [`SECONDS`] and [`TIME`] are in the places of what comes from the fire
    /// time.
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

    /// What the payloads of all fires have in common, if it is not all of them: the texts before,
    /// between and after the parts that come from the fire time. Such a part is made of ASCII letters,
    /// digits, `:`, `.` and `-`, and the text after it begins with something else.
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

/// Stands for the id of an ActiveJob in [`Job::template`]. JSON has no such character, nor the other two, for they
/// are escaped there.
pub const JOB_ID: &str = "\u{1}";
/// Stands for the fire time in Unix seconds.
pub const SECONDS: &str = "\u{2}";
/// Stands for the fire time as ActiveJob writes it.
pub const TIME: &str = "\u{3}";

/// The three.
const PARTS: [char; 3] = ['\u{1}', '\u{2}', '\u{3}'];

/// `payload`, which ends in its arguments, with one more of them: the fire time.
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
    fn a_job_of_a_template_has_the_payloads_of_the_job_that_the_template_is_of() {
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
    fn the_fixed_parts_are_the_payload_without_what_comes_from_the_fire_time() {
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

//! Jobs as Resque stores them: a payload in a queue, an item in a delayed bucket.
//!
//! Arguments are bytes (docs/design.md, law 4): they are carried as the JSON text in which they came and
//! never pass through numbers, so `1.0e+100`, `[]` and integers above 2^63 arrive as they left.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{error::Category, value::RawValue};

use crate::core::{
    active_job::ActiveJob,
    json::{
        AROUND_ARGUMENTS, Unperformable, {self},
    },
    ruby,
};

/// A job that an entry of the schedule enqueues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Plain(Plain),
    ActiveJob(Box<ActiveJob>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Plain {
    /// The class, the queue, and the payload without metadata, one after the other: of many entries, this
    /// is most of what they hold, and three texts would take twice the memory.
    texts: Box<str>,
    class_ends: usize,
    queue_ends: usize,
    include_metadata: bool,
}

impl Plain {
    fn class(&self) -> &str {
        &self.texts[..self.class_ends]
    }

    fn queue(&self) -> &str {
        &self.texts[self.class_ends..self.queue_ends]
    }

    fn payload(&self) -> &str {
        &self.texts[self.queue_ends..]
    }
}

impl Job {
    /// Makes the job of class `class` for `queue`.
    ///
    /// `arguments` is the argument list as one JSON array in compact form. With
    /// `include_metadata`, each fire appends `{"scheduled_at":<fire time>}` to it.
    pub fn new(class: &str, queue: &str, arguments: &str, include_metadata: bool) -> Self {
        debug_assert!(arguments.starts_with('[') && arguments.ends_with(']'));
        let payload = payload(class, arguments);
        Self(Kind::Plain(Plain {
            texts: [class, queue, &*payload].concat().into(),
            class_ends: class.len(),
            queue_ends: class.len() + queue.len(),
            include_metadata,
        }))
    }

    /// Name of the Ruby class that performs the job.
    pub fn class(&self) -> &str {
        match &self.0 {
            Kind::Plain(job) => job.class(),
            Kind::ActiveJob(job) => &job.class,
        }
    }

    /// Name of the queue, without namespace.
    pub fn queue(&self) -> &str {
        match &self.0 {
            Kind::Plain(job) => job.queue(),
            Kind::ActiveJob(job) => &job.queue,
        }
    }

    /// The payload for one fire: `{"class":C,"args":[...]}`, byte for byte as Resque 3.0 writes it.
    ///
    /// `scheduled_at` is in whole seconds since the Unix epoch.
    pub fn payload(&self, fire_time: DateTime<Utc>) -> Cow<'_, str> {
        match &self.0 {
            Kind::Plain(job) if job.include_metadata => {
                let at = fire_time.timestamp().to_string();
                Cow::Owned(with_metadata(job.payload(), &at))
            }
            Kind::Plain(job) => Cow::Borrowed(job.payload()),
            Kind::ActiveJob(job) => Cow::Owned(job.payload(fire_time)),
        }
    }

    /// What the payloads of all fires have in common, if it is not all of them: the texts before,
    /// between and after the parts that come from the fire time. Such a part is made of ASCII letters,
    /// digits, `:`, `.` and `-`, and the text after it begins with something else.
    pub fn pattern(&self) -> Option<Vec<String>> {
        let payload = match &self.0 {
            Kind::Plain(job) if job.include_metadata => with_metadata(job.payload(), PART),
            Kind::Plain(_) => return None,
            Kind::ActiveJob(job) => job.payload_of(PART, PART, PART),
        };
        Some(payload.split(PART).map(str::to_owned).collect())
    }
}

impl From<ActiveJob> for Job {
    fn from(job: ActiveJob) -> Self {
        Self(Kind::ActiveJob(Box::new(job)))
    }
}

/// Stands for what comes from the fire time. JSON has no such character, for it is escaped there.
const PART: &str = "\0";

/// `payload`, which ends in its arguments, with one more of them: the fire time.
fn with_metadata(payload: &str, scheduled_at: &str) -> String {
    let list = &payload[..payload.len() - "}".len()];
    appended(list, &format!("{{\"scheduled_at\":{scheduled_at}}}")) + "}"
}

/// `text`, which ends in a JSON array, with more elements in it.
pub fn appended(text: &str, elements: &str) -> String {
    let open = text.strip_suffix(']').unwrap_or(text);
    let is_empty = open.trim_ascii_end().ends_with('[');
    let comma = if is_empty { "" } else { "," };
    format!("{open}{comma}{elements}]")
}

/// The payload that a worker pops: class first, no spaces. `arguments` is JSON text, an array.
pub fn payload(class: &str, arguments: &str) -> String {
    let class = quoted(class);
    format!("{{\"class\":{class},\"args\":{arguments}}}")
}

/// The argument list that one JSON value stands for, as resque-scheduler 5.0 reads `args`: an
/// array is the list, `null` is an empty one, anything else is one argument.
///
/// `json` is valid JSON without white space around it. Its bytes are kept.
pub fn argument_list(json: &str) -> Cow<'_, str> {
    match json {
        "null" => Cow::Borrowed("[]"),
        list if list.starts_with('[') => Cow::Borrowed(list),
        one => Cow::Owned(format!("[{one}]")),
    }
}

/// The item that `enqueue_at` puts into a bucket, as resque-scheduler 5.0 writes it.
///
/// `arguments` is JSON text, an array; `class` and `queue` are plain text.
pub fn delayed_item(class: &str, arguments: &str, queue: &str) -> String {
    let (class, queue) = (quoted(class), quoted(queue));
    format!("{{\"class\":{class},\"args\":{arguments},\"queue\":{queue}}}")
}

/// `text` as a JSON string: UTF-8 and `/` unescaped, as Ruby writes it.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A delayed item that can be enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayedItem {
    /// Name of the queue, without namespace.
    pub queue: String,
    /// What goes into the queue.
    pub payload: String,
}

/// Why a delayed item can't be enqueued; it goes to quarantine with these words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unqueueable {
    /// No JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// No JSON object of the expected shape.
    #[error("not a delayed job: expected an object with text as \"class\" and \"queue\"")]
    NotAJob,
    /// The worker that takes it would exit.
    #[error(transparent)]
    Unperformable(#[from] Unperformable),
    /// `class` is absent, null or empty.
    #[error("no class: expected \"class\" to be a non-empty string")]
    NoClass,
    /// `queue` is absent, null or empty.
    #[error("no queue: expected \"queue\" to be a non-empty string")]
    NoQueue,
}

#[derive(Deserialize)]
struct RawItem<'a> {
    #[serde(borrow, default)]
    class: Option<&'a RawValue>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
    #[serde(borrow, default)]
    queue: Option<&'a RawValue>,
}

impl DelayedItem {
    /// Reads an item of a bucket, written by any client.
    ///
    /// As resque-scheduler 5.0: absent or null `args` are none, anything but an array is one
    /// argument; other keys, their order and white space don't matter. The bytes of the arguments
    /// are kept.
    ///
    /// # Errors
    /// [`Unqueueable`] where the item is not a JSON object, or names no class or no queue.
    pub fn decode(item: &[u8]) -> Result<Self, Unqueueable> {
        // What serde says of other data repeats it, and that may be long, or secret.
        let not_a_job = |error: serde_json::Error| match error.classify() {
            Category::Data => Unqueueable::NotAJob,
            _ => Unqueueable::NotJson(error.to_string()),
        };
        // serde would read an array as the fields in order.
        if item.trim_ascii_start().first() == Some(&b'[') {
            return Err(Unqueueable::NotAJob);
        }
        let raw: RawItem<'_> = serde_json::from_slice(item).map_err(not_a_job)?;
        let class = name(raw.class, Unqueueable::NoClass)?;
        let queue = name(raw.queue, Unqueueable::NoQueue)?;
        let arguments = argument_list(raw.args.map_or("null", RawValue::get));
        json::check(&arguments, AROUND_ARGUMENTS)?;
        Ok(Self {
            queue: queue.into_owned(),
            payload: payload(&class, &arguments),
        })
    }
}

/// The class or queue that a JSON value names: text, or a number, which stands for the text that Ruby's
/// `to_s` makes of it.
fn name(value: Option<&RawValue>, absent: Unqueueable) -> Result<Cow<'_, str>, Unqueueable> {
    let json = value.map_or("\"\"", RawValue::get);
    match json.as_bytes() {
        b"\"\"" => Err(absent),
        [b'"', text @ .., b'"'] if !text.contains(&b'\\') => {
            Ok(Cow::Borrowed(&json[1..json.len() - 1]))
        }
        // It is valid JSON, so that nothing else can be wrong with it.
        [b'"', ..] => serde_json::from_str(json)
            .map(Cow::Owned)
            .map_err(|_| Unperformable::LoneSurrogate.into()),
        [b'-' | b'0'..=b'9', ..] => {
            json::check(json, 0)?;
            Ok(ruby::number(json))
        }
        _ => Err(Unqueueable::NotAJob),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn decoded(item: &str, payload: &str) {
        let item = DelayedItem::decode(item.as_bytes()).unwrap();
        assert_eq!((item.queue.as_str(), item.payload.as_str()), ("q", payload));
    }

    #[track_caller]
    fn refused(item: &[u8], start: &str) {
        let error = DelayedItem::decode(item).unwrap_err().to_string();
        assert!(error.starts_with(start), "{error}");
    }

    #[test]
    fn argument_bytes_are_kept() {
        for arguments in [
            "[]",
            "[[],{}]",
            "[1.0e+100,9223372036854775808,\"\\u00e9\"]",
            "[ 1 , 2 ]",
            "[\"\\ud83d\\ude00\"]",
        ] {
            decoded(
                &format!(r#"{{"class":"C","args":{arguments},"queue":"q"}}"#),
                &format!(r#"{{"class":"C","args":{arguments}}}"#),
            );
        }
    }

    #[test]
    fn absent_arguments_are_none_and_a_lone_one_is_wrapped() {
        decoded(r#"{"class":"C","queue":"q"}"#, r#"{"class":"C","args":[]}"#);
        decoded(
            r#" {"queue":"q", "x":1, "args": null, "class":"C"} "#,
            r#"{"class":"C","args":[]}"#,
        );
        decoded(
            r#"{"class":"C","args":{"a":1},"queue":"q"}"#,
            r#"{"class":"C","args":[{"a":1}]}"#,
        );
        decoded(
            r#"{"class":"C","args":false,"queue":"q"}"#,
            r#"{"class":"C","args":[false]}"#,
        );
    }

    #[test]
    fn what_names_no_job_is_refused_with_a_reason() {
        refused(b"garbage", "not JSON: expected value");
        refused(b"", "not JSON: EOF");
        refused(b"\xff\xfe", "not JSON");
        refused(b"[]", "not a delayed job");
        refused(b"\"secret\"", "not a delayed job: expected an object");
        refused(
            br#"{"class":{},"queue":"q"}"#,
            "not a delayed job: expected an object",
        );
        refused(br#"{"class":"","queue":"q"}"#, "no class");
        refused(br#"{"args":[],"queue":"q"}"#, "no class");
        refused(br#"{"class":"C","args":[]}"#, "no queue");
        refused(br#"{"class":"C","queue":null}"#, "no queue");
    }

    #[test]
    fn a_number_names_a_class_or_queue_as_ruby_writes_it() {
        for (number, text) in [
            ("7", "7"),
            ("-0", "0"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
            ("7.50", "7.5"),
            ("1E20", "1.0e+20"),
            ("-0.0", "-0.0"),
        ] {
            let item = format!(r#"{{"class":{number},"args":[],"queue":{number}}}"#);
            let item = DelayedItem::decode(item.as_bytes()).unwrap();
            let payload = format!(r#"{{"class":"{text}","args":[]}}"#);
            assert_eq!((&*item.queue, item.payload), (text, payload));
        }
        refused(br#"{"class":1e400,"queue":"q"}"#, "number too large");
        refused(br#"{"class":true,"queue":"q"}"#, "not a delayed job");
        refused(br#"{"class":"C","queue":["q"]}"#, "not a delayed job");
    }

    #[test]
    fn escapes_in_the_class_are_read() {
        decoded(
            r#"{"class":"\u0043\"\ud83d\ude00","queue":"\u0071"}"#,
            r#"{"class":"C\"😀","args":[]}"#,
        );
        refused(
            br#"{"class":"\ud83d","queue":"q"}"#,
            "half a surrogate pair",
        );
        refused(b"{\"class\":\"C\xff\",\"queue\":\"q\"}", "not JSON");
    }

    #[test]
    fn a_job_that_its_worker_would_not_survive_is_refused() {
        let item = |levels: usize| {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            format!(r#"{{"class":"C","args":{open}"]}}[\"[{{"{close},"queue":"q"}}"#)
        };
        assert!(DelayedItem::decode(item(98).as_bytes()).is_ok());
        refused(item(99).as_bytes(), "nested too deep");
        refused(item(1_000_000).as_bytes(), "nested too deep");
        refused(
            br#"{"class":"C","args":["\ud83d"],"queue":"q"}"#,
            "half a surrogate pair",
        );
        refused(
            br#"{"class":"C","args":1e400,"queue":"q"}"#,
            "number too large",
        );
        // What is not pushed kills no worker.
        decoded(
            r#"{"class":"C","x":["\ud83d",1e400],"queue":"q"}"#,
            r#"{"class":"C","args":[]}"#,
        );
    }

    #[test]
    fn metadata_is_the_last_argument() {
        let at = DateTime::from_timestamp(1_795_454_398, 0).unwrap();
        let job = |arguments| Job::new("C", "q", arguments, true);
        assert_eq!(
            job("[]").payload(at),
            r#"{"class":"C","args":[{"scheduled_at":1795454398}]}"#
        );
        assert_eq!(
            job("[[]]").payload(at),
            r#"{"class":"C","args":[[],{"scheduled_at":1795454398}]}"#
        );
        assert_eq!(
            job("[ ]").payload(at),
            r#"{"class":"C","args":[ {"scheduled_at":1795454398}]}"#
        );
    }

    #[test]
    fn the_pattern_is_the_payload_without_what_comes_from_the_fire_time() {
        let plain = |metadata| Job::new("C", "q", "[\"\\u0000\"]", metadata);
        assert_eq!(plain(false).pattern(), None);
        let expected = [r#"{"class":"C","args":["\u0000",{"scheduled_at":"#, "}]}"];
        assert_eq!(plain(true).pattern().unwrap(), expected);

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
            let pattern = job.pattern().unwrap();
            assert_eq!(pattern.len(), parts + 1);
            let is_one = |it: char| it.is_ascii_alphanumeric() || ":.-".contains(it);
            for at in [0, 1_795_454_398] {
                let at = DateTime::from_timestamp(at, 0).unwrap();
                let payload = job.payload(at);
                let mut rest = payload.strip_prefix(&*pattern[0]).unwrap();
                for text in &pattern[1..] {
                    let after = rest.trim_start_matches(is_one);
                    assert_ne!(after, rest);
                    rest = after.strip_prefix(&**text).unwrap();
                }
                assert_eq!(rest, "");
            }
        }
    }

    #[test]
    fn text_is_escaped_as_ruby_escapes_it() {
        assert_eq!(
            delayed_item("A::B", "[]", "my queue:é/\"x\""),
            r#"{"class":"A::B","args":[],"queue":"my queue:é/\"x\""}"#
        );
    }
}

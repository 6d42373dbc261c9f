//! Decodes items of delayed buckets into the payloads for their queues.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{error::Category, value::RawValue};

use crate::core::job::{
    json::{self, AROUND_ARGUMENTS, Unperformable},
    payload::{argument_list, payload},
    ruby_number,
};

/// A delayed item that can be enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayedItem {
    /// Name of the queue, without namespace.
    pub queue: String,
    /// The payload for the queue.
    pub payload: String,
}

/// Why a delayed item cannot be enqueued. The quarantine record of the item contains this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unqueueable {
    /// The item is not valid JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// The item is not a JSON object, or its `class` or `queue` has a wrong type.
    #[error("not a delayed job: expected an object with text as \"class\" and \"queue\"")]
    NotAJob,
    /// A worker would exit when it takes the job.
    #[error(transparent)]
    Unperformable(#[from] Unperformable),
    /// `class` is absent, null or empty.
    #[error("no class: expected \"class\" to be a non-empty string")]
    NoClass,
    /// `queue` is absent, null or empty.
    #[error("no queue: expected \"queue\" to be a non-empty string")]
    NoQueue,
}

#[derive(Default, Deserialize)]
struct RawItem<'a> {
    #[serde(borrow, default)]
    class: Option<&'a RawValue>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
    #[serde(borrow, default)]
    queue: Option<&'a RawValue>,
}

impl DelayedItem {
    /// Decodes an item of a bucket that any client may have written.
    ///
    /// As resque-scheduler 5.0: absent or null `args` mean no arguments, and any other value that is not an array is
    /// a single argument. Other keys, the order of keys and white space do not matter. The bytes of the arguments do
    /// not change.
    ///
    /// # Errors
    /// Returns [`Unqueueable`] if the item is not a JSON object, if it names no class or no queue, or if a worker
    /// would exit on the job.
    pub fn decode(item: &[u8]) -> Result<Self, Unqueueable> {
        // For JSON of another shape, serde's message quotes the data, which may be long or secret.
        let not_a_job = |error: serde_json::Error| match error.classify() {
            Category::Data => Unqueueable::NotAJob,
            _ => Unqueueable::NotJson(error.to_string()),
        };
        // serde would accept an array and read its elements as the fields in order.
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

/// Returns the class and the queue that an item names, as far as they can be decoded.
pub fn class_and_queue(item: &[u8]) -> (Option<String>, Option<String>) {
    let raw = serde_json::from_slice(item).unwrap_or_default();
    let RawItem { class, queue, .. } = raw;
    let named = |value| name(value, Unqueueable::NotAJob).ok().map(Cow::into_owned);
    (named(class), named(queue))
}

/// Returns the class or queue that a JSON value names: a string, or a number as Ruby's `to_s` writes it.
fn name(value: Option<&RawValue>, absent: Unqueueable) -> Result<Cow<'_, str>, Unqueueable> {
    let json = value.map_or("\"\"", RawValue::get);
    match json.as_bytes() {
        b"\"\"" => Err(absent),
        [b'"', text @ .., b'"'] if !text.contains(&b'\\') => {
            Ok(Cow::Borrowed(&json[1..json.len() - 1]))
        }
        // The value is valid JSON, so a lone surrogate is the only possible error.
        [b'"', ..] => serde_json::from_str(json)
            .map(Cow::Owned)
            .map_err(|_| Unperformable::LoneSurrogate.into()),
        [b'-' | b'0'..=b'9', ..] => {
            json::check(json, 0)?;
            Ok(ruby_number::number(json))
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
    fn absent_arguments_become_an_empty_list_and_a_single_argument_a_list_of_one() {
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
    fn an_item_that_is_not_a_job_is_refused_with_a_reason() {
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
    fn escapes_in_class_and_queue_are_decoded() {
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
    fn a_job_on_which_its_worker_would_exit_is_refused() {
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
        // Keys that are not pushed to the queue cannot harm a worker.
        decoded(
            r#"{"class":"C","x":["\ud83d",1e400],"queue":"q"}"#,
            r#"{"class":"C","args":[]}"#,
        );
    }
}

//! Filters for delayed jobs, by class, queue, arguments, values in the arguments, or text.

use std::{borrow::Cow, collections::HashMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::core::job::delayed::class_and_queue;

/// A filter for delayed jobs. An empty filter matches every job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobFilter {
    /// Only jobs of this class. An ActiveJob matches both by its own class and by that of the wrapper.
    pub class: Option<String>,
    /// Only jobs for this queue.
    pub queue: Option<String>,
    /// Only jobs whose arguments are equal to this JSON.
    pub args: Option<String>,
    /// Only jobs that match all these conditions.
    pub conditions: Vec<Condition>,
    /// Only jobs whose item contains this text, byte for byte.
    pub contains: Option<String>,
}

/// A condition on a value within a job, such as `args.0.user_id=42`.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The keys of objects and indexes of arrays that lead from the item to the value.
    path: Vec<String>,
    /// The value, as JSON, or as the content of a JSON string.
    value: String,
}

/// The error for a text that is not a condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected PATH=VALUE, such as `args.0.user_id=42`")]
pub struct ConditionError;

impl std::str::FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, value) = text.split_once('=').ok_or(ConditionError)?;
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(ConditionError);
        }
        Ok(Self {
            path,
            value: value.to_owned(),
        })
    }
}

impl JobFilter {
    /// Whether an item matches the filter. An item that is not JSON has no class, no queue and no arguments.
    pub fn matches(&self, item: &[u8]) -> bool {
        self.contains_text(item)
            && (self.class.is_none() && self.queue.is_none() || self.is_named(item))
            && self.has_args(item)
            && self
                .conditions
                .iter()
                .all(|condition| condition.holds(item))
    }

    fn contains_text(&self, item: &[u8]) -> bool {
        let Some(text) = &self.contains else {
            return true;
        };
        memchr::memmem::find(item, text.as_bytes()).is_some()
    }

    fn is_named(&self, item: &[u8]) -> bool {
        let (class, queue) = class_and_queue(item);
        let is_queue = self.queue.is_none() || self.queue == queue;
        is_queue
            && (self.class.is_none() || self.class == class || self.class == active_job_class(item))
    }

    fn has_args(&self, item: &[u8]) -> bool {
        let Some(args) = &self.args else {
            return true;
        };
        within(item, &["args".to_owned()]).is_some_and(|json| is_same(json, args))
    }
}

impl Condition {
    fn holds(&self, item: &[u8]) -> bool {
        let Some(json) = within(item, &self.path) else {
            return false;
        };
        // Numbers are compared as text, so that none is rounded.
        json == self.value
            || serde_json::from_str::<String>(json).is_ok_and(|text| text == self.value)
    }
}

/// Returns the class of the ActiveJob in an item, if the item is one.
pub fn active_job_class(item: &[u8]) -> Option<String> {
    let path = ["args", "0", "job_class"].map(str::to_owned);
    serde_json::from_str(within(item, &path)?).ok()
}

/// Returns the JSON at a path of an item.
fn within<'a>(item: &'a [u8], path: &[String]) -> Option<&'a str> {
    let mut json: &RawValue = serde_json::from_slice(item).ok()?;
    for step in path {
        json = match json.get().as_bytes().first()? {
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(json.get()).ok()?;
                *items.get(step.parse::<usize>().ok()?)?
            }
            b'{' => {
                let members: Members<'_> = serde_json::from_str(json.get()).ok()?;
                members.get(step)?
            }
            _ => return None,
        };
    }
    Some(json.get())
}

/// Whether two JSON texts have the same value. Numbers are compared as they are written, so that none is rounded.
fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim(), b.trim());
    let list = |json| serde_json::from_str::<Vec<&RawValue>>(json).ok();
    let members = |json| serde_json::from_str::<Members<'_>>(json).ok();
    let text = |json| serde_json::from_str::<String>(json).ok();
    match (a.as_bytes().first(), b.as_bytes().first()) {
        (Some(b'['), Some(b'[')) => list(a).zip(list(b)).is_some_and(|(a, b)| {
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| is_same(a.get(), b.get()))
        }),
        (Some(b'{'), Some(b'{')) => members(a).zip(members(b)).is_some_and(|(a, b)| {
            let is_in = |(key, value): (&Cow<'_, str>, &&RawValue)| {
                b.get(key).is_some_and(|it| is_same(value.get(), it.get()))
            };
            a.members.len() == b.members.len() && a.members.iter().all(is_in)
        }),
        (Some(b'"'), Some(b'"')) => text(a).zip(text(b)).is_some_and(|(a, b)| a == b),
        _ => a == b,
    }
}

/// The members of an object. If a key is given twice, the last value counts, as in Ruby.
#[derive(Deserialize)]
#[serde(transparent)]
struct Members<'a> {
    #[serde(borrow)]
    members: HashMap<Cow<'a, str>, &'a RawValue>,
}

impl<'a> Members<'a> {
    fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.members.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] =
        br#"{"class":"Mail","args":[{"user_id":42,"kind":"cart"},9223372036854775808],"queue":"low"}"#;

    fn where_(condition: &str) -> JobFilter {
        JobFilter {
            conditions: vec![condition.parse().unwrap()],
            ..JobFilter::default()
        }
    }

    #[test]
    fn an_empty_filter_matches_every_job() {
        for item in [MAIL, b"no JSON", b""] {
            assert!(JobFilter::default().matches(item));
        }
    }

    #[test]
    fn class_and_queue_are_compared_whole() {
        let of = |class: Option<&str>, queue: Option<&str>| JobFilter {
            class: class.map(str::to_owned),
            queue: queue.map(str::to_owned),
            ..JobFilter::default()
        };
        assert!(of(Some("Mail"), None).matches(MAIL));
        assert!(of(Some("Mail"), Some("low")).matches(MAIL));
        assert!(!of(Some("Mai"), None).matches(MAIL));
        assert!(!of(Some("Mail"), Some("high")).matches(MAIL));
        assert!(!of(None, Some("low")).matches(b"no JSON"));
    }

    #[test]
    fn an_active_job_is_found_by_its_own_class_and_by_the_wrappers() {
        let item =
            br#"{"class":"W","args":[{"job_class":"ReportJob","arguments":[]}],"queue":"q"}"#;
        for class in ["W", "ReportJob"] {
            let filter = JobFilter {
                class: Some(class.to_owned()),
                ..JobFilter::default()
            };
            assert!(filter.matches(item), "{class}");
        }
    }

    #[test]
    fn a_condition_names_a_value_by_its_path() {
        for condition in [
            "args.0.user_id=42",
            "args.0.kind=cart",
            r#"args.0.kind="cart""#,
            "args.1=9223372036854775808",
            "class=Mail",
        ] {
            assert!(where_(condition).matches(MAIL), "{condition}");
        }
        for condition in [
            "args.0.user_id=4",
            "args.0.user=42",
            "args.2=42",
            "args.x=42",
            "args.1=9223372036854775807",
            "args.0.user_id.x=42",
        ] {
            assert!(!where_(condition).matches(MAIL), "{condition}");
        }
        for text in ["args", "=1", "args..x=1", ".=1"] {
            assert_eq!(text.parse::<Condition>(), Err(ConditionError), "{text}");
        }
    }

    #[test]
    fn arguments_are_compared_as_json_and_text_byte_for_byte() {
        let filter = |args: &str| JobFilter {
            args: Some(args.to_owned()),
            ..JobFilter::default()
        };
        let item = br#"{"class":"C","args":[ {"b":1,"a":"\u00e9"} ],"queue":"q"}"#;
        assert!(filter(r#"[{"a": "é", "b": 1}]"#).matches(item));
        assert!(!filter(r#"[{"a": "é"}]"#).matches(item));
        let large = br#"{"args":[18446744073709551617]}"#;
        assert!(filter("[18446744073709551617]").matches(large));
        assert!(!filter("[18446744073709551616]").matches(large));
        let contains = |text: &str| JobFilter {
            contains: Some(text.to_owned()),
            ..JobFilter::default()
        };
        assert!(contains("\\u00e9").matches(item));
        assert!(!contains("é").matches(item));
    }
}

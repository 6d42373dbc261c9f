//! Jobs of ActiveJob, the way its Resque adapter stores them: one argument, which names the class
//! and carries the arguments in a form of its own (as ActiveJob 7.1; older ones ignore what is new).

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Error, value::RawValue};
use uuid::Uuid;

use crate::core::{
    firing::outcome::Cause,
    job::{
        json::{self, AROUND_ARGUMENTS},
        payload::{appended, payload, quoted},
    },
};

/// The class that Resque workers perform; it finds the job's own class in its argument.
pub const WRAPPER: &str = "ActiveJob::QueueAdapters::ResqueAdapter::JobWrapper";

/// Under which our job ids are unique: `uuid5(NAMESPACE_URL, "rescue-scheduler")`.
const JOB_IDS: Uuid = Uuid::from_u128(0x1e26_12a4_4933_5a57_a9cf_7b7a_4d4f_ad63);

/// What all fires of an entry have in common.
///
/// Everything in a payload comes from the entry and the fire time, so that a fire that is tried
/// again is the same job, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveJob {
    /// The entry's name; a part of each job's id.
    pub entry: String,
    /// Name of the Ruby class, a descendant of `ActiveJob::Base`.
    pub class: String,
    /// Name of the queue, without namespace.
    pub queue: String,
    /// The arguments as ActiveJob serializes them: one JSON array in compact form.
    pub arguments: String,
    /// What I18n speaks while the job is performed.
    pub locale: String,
    /// The time zone while the job is performed, as Rails names it; without one, that of the app.
    pub timezone: Option<String>,
    /// Small ones first, for adapters that know priorities (Resque's does not).
    pub priority: Option<i64>,
    /// With each fire, `{"scheduled_at":<fire time>}` is the last positional argument.
    pub include_metadata: bool,
}

impl ActiveJob {
    /// The payload for one fire. The job's id is the same for the same entry, cause and fire time; only a fire
    /// that was caught up with has the id that it would have had on time.
    pub fn payload(&self, cause: Cause, fire_time: DateTime<Utc>) -> String {
        let (entry, seconds) = (&self.entry, fire_time.timestamp());
        let id = match cause {
            Cause::Scheduled | Cause::CaughtUp => format!("{seconds} {entry}"),
            Cause::Backfilled => format!("backfilled {seconds} {entry}"),
            // A person may ask for it twice in a second.
            Cause::Triggered => format!("triggered {} {entry}", fire_time.timestamp_micros()),
        };
        let id = Uuid::new_v5(&JOB_IDS, id.as_bytes()).to_string();
        self.payload_of(&id, &fire_time.timestamp().to_string(), &shown(fire_time))
    }

    /// The payload with these texts in the places of what comes from the fire time: the job's id, the
    /// fire time in Unix seconds, and as text. They are not escaped.
    pub(super) fn payload_of(&self, id: &str, seconds: &str, at: &str) -> String {
        let metadata = format!("{{\"scheduled_at\":{seconds},\"_aj_symbol_keys\":[]}}");
        let arguments = if self.include_metadata {
            &with_positional(&self.arguments, &metadata)
        } else {
            &self.arguments
        };
        let job = Wrapped {
            class: &self.class,
            queue: &self.queue,
            priority: self.priority,
            arguments,
            locale: &self.locale,
            timezone: self.timezone.as_deref(),
        };
        let (id, at) = (format!("\"{id}\""), format!("\"{at}\""));
        payload(WRAPPER, &job.written(&id, &at, &at))
    }
}

/// `list`, arguments in ActiveJob's form, with one more positional argument behind the others. Ruby
/// takes a hash for keyword arguments only if it is the last argument, so that it has to stay the last.
fn with_positional(list: &str, argument: &str) -> String {
    let elements: Vec<&RawValue> = serde_json::from_str(list).unwrap_or_default();
    match elements.last().map(|it| it.get()) {
        Some(keywords) if is_keywords(keywords) => {
            // They are a part of `list`.
            let at = keywords.as_ptr().addr() - list.as_ptr().addr();
            [&list[..at], argument, ",", &list[at..]].concat()
        }
        _ => appended(list, argument),
    }
}

/// Whether an argument in ActiveJob's form is a hash of keyword arguments.
fn is_keywords(json: &str) -> bool {
    let members = serde_json::from_str(json);
    members.is_ok_and(|Members(members)| members.iter().any(|(key, _)| key == KEYWORDS))
}

/// What the wrapper's argument holds of a job.
#[derive(Debug, Clone, Copy)]
pub struct Wrapped<'a> {
    /// Name of the Ruby class.
    pub class: &'a str,
    /// Name of the queue, without namespace.
    pub queue: &'a str,
    /// Small ones first.
    pub priority: Option<i64>,
    /// In ActiveJob's form: one JSON array in compact form (see [`arguments`]).
    pub arguments: &'a str,
    /// What I18n speaks.
    pub locale: &'a str,
    /// As Rails names it.
    pub timezone: Option<&'a str>,
}

impl Wrapped<'_> {
    /// The argument list of [`WRAPPER`] for the job `id` (any text, a UUID in Rails), enqueued at one
    /// time to be performed at another, or at once: a JSON array, keys in the order of ActiveJob 7.1.
    pub fn argument_list(
        &self,
        id: &str,
        enqueued_at: DateTime<Utc>,
        scheduled_at: Option<DateTime<Utc>>,
    ) -> String {
        let time = |at| quoted(&shown(at));
        let scheduled_at = scheduled_at.map_or_else(null, time);
        self.written(&quoted(id), &time(enqueued_at), &scheduled_at)
    }

    /// The same, with an id and times that are JSON already.
    fn written(&self, id: &str, enqueued_at: &str, scheduled_at: &str) -> String {
        let (class, queue, locale) = (quoted(self.class), quoted(self.queue), quoted(self.locale));
        let priority = self.priority.map_or_else(null, |it| it.to_string());
        let timezone = self.timezone.map_or_else(null, quoted);
        let arguments = self.arguments;
        format!(
            "[{{\"job_class\":{class},\"job_id\":{id},\"provider_job_id\":null,\
             \"queue_name\":{queue},\"priority\":{priority},\"arguments\":{arguments},\
             \"executions\":0,\"exception_executions\":{{}},\"locale\":{locale},\
             \"timezone\":{timezone},\"enqueued_at\":{enqueued_at},\"scheduled_at\":{scheduled_at}}}]"
        )
    }
}

fn null() -> String {
    "null".to_owned()
}

/// A time as ActiveJob writes it.
fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// The key in a hash of keyword arguments by which ActiveJob knows it.
const KEYWORDS: &str = "_aj_ruby2_keywords";

/// What I18n speaks where nothing is said: Rails' own default.
pub const LOCALE: &str = "en";

/// How many levels of arrays and objects are around a job's arguments when a worker performs it: those
/// around the wrapper's argument list, that list, and its argument.
pub const AROUND: usize = AROUND_ARGUMENTS + 2;

/// The arguments in ActiveJob's form, one JSON array: those of `list`, a JSON array, and behind them
/// the keyword arguments in `kwargs`, a JSON object.
///
/// `{"symbol":"daily"}` is a symbol; an object with a key of ActiveJob's own (`_aj_…`) is taken as it
/// is; any other is a hash, whose keys that begin with a colon are symbols. The bytes of numbers and
/// text are kept.
///
/// # Errors
/// Where one of the two is not what it should be, or a worker would exit on the job
/// ([`json::Unperformable`]).
pub fn arguments(list: &str, kwargs: Option<&str>) -> Result<String, Error> {
    // Before we go down into them: as they are, they might be deeper than our stack.
    for json in [list, kwargs.unwrap_or_default()] {
        check(json)?;
    }
    let mut out = String::with_capacity(list.len());
    write_list(list, &mut out)?;
    if let Some(kwargs) = kwargs {
        let mut hash = String::with_capacity(kwargs.len());
        write_hash(serde_json::from_str(kwargs)?, Marker::Keywords, &mut hash)?;
        out = appended(&out, &hash);
    }
    check(&out)?;
    Ok(out)
}

fn check(arguments: &str) -> Result<(), Error> {
    json::check(arguments, AROUND).map_err(Error::custom)
}

/// What ActiveJob notes in a hash about its keys.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Marker {
    /// Which of them are symbols.
    Symbols,
    /// They are keywords.
    Keywords,
}

fn write_list(json: &str, out: &mut String) -> Result<(), Error> {
    let items: Vec<&RawValue> = serde_json::from_str(json)?;
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        out.push_str(if index == 0 { "" } else { "," });
        write_argument(item.get(), out)?;
    }
    out.push(']');
    Ok(())
}

fn write_argument(json: &str, out: &mut String) -> Result<(), Error> {
    if json.starts_with('[') {
        return write_list(json, out);
    }
    if !json.starts_with('{') {
        out.push_str(json);
        return Ok(());
    }
    let members: Members<'_> = serde_json::from_str(json)?;
    match &members.0[..] {
        [(key, value)] if key == "symbol" && value.get().starts_with('"') => {
            out.push_str(
                r#"{"_aj_serialized":"ActiveJob::Serializers::SymbolSerializer","value":"#,
            );
            out.push_str(value.get());
            out.push('}');
        }
        all if all.iter().any(|(key, _)| key.starts_with("_aj_")) => out.push_str(json),
        _ => write_hash(members, Marker::Symbols, out)?,
    }
    Ok(())
}

/// A hash, and behind its members what ActiveJob notes about their keys.
fn write_hash(members: Members<'_>, marker: Marker, out: &mut String) -> Result<(), Error> {
    let mut noted = vec![];
    out.push('{');
    for (key, value) in members.0 {
        let symbol = key.strip_prefix(':');
        let name = quoted(symbol.unwrap_or(&key));
        out.push_str(&name);
        out.push(':');
        write_argument(value.get(), out)?;
        out.push(',');
        if symbol.is_some() || marker == Marker::Keywords {
            noted.push(name);
        }
    }
    let key = match marker {
        Marker::Symbols => "_aj_symbol_keys",
        Marker::Keywords => KEYWORDS,
    };
    out.extend(["\"", key, "\":[", &noted.join(","), "]}"]);
    Ok(())
}

/// The members of a JSON object, in their order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object: keyword arguments are a struct or map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = vec![];
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(list: &str, kwargs: Option<&str>, expected: &str) {
        assert_eq!(arguments(list, kwargs).unwrap(), expected, "{list}");
    }

    const DAILY: &str =
        r#"{"_aj_serialized":"ActiveJob::Serializers::SymbolSerializer","value":"daily"}"#;

    #[test]
    fn hashes_tell_which_of_their_keys_are_symbols() {
        case("[]", None, "[]");
        case("[{}]", None, r#"[{"_aj_symbol_keys":[]}]"#);
        case(
            r#"[{"z":1,":b":[{":c":2}]}]"#,
            None,
            r#"[{"z":1,"b":[{"c":2,"_aj_symbol_keys":["c"]}],"_aj_symbol_keys":["b"]}]"#,
        );
    }

    #[test]
    fn symbols_have_a_form_of_their_own() {
        case(r#"[{"symbol":"daily"}]"#, None, &format!("[{DAILY}]"));
        case(
            r#"[{"symbol":1},{"symbol":"a","b":2}]"#,
            None,
            r#"[{"symbol":1,"_aj_symbol_keys":[]},{"symbol":"a","b":2,"_aj_symbol_keys":[]}]"#,
        );
    }

    #[test]
    fn keywords_come_last() {
        case(
            "[1]",
            Some(r#"{"region":{"symbol":"daily"},":limit":{"a":5}}"#),
            &format!(
                r#"[1,{{"region":{DAILY},"limit":{{"a":5,"_aj_symbol_keys":[]}},"_aj_ruby2_keywords":["region","limit"]}}]"#
            ),
        );
        case("[]", Some("{}"), r#"[{"_aj_ruby2_keywords":[]}]"#);
        let error = arguments("[]", Some("[1]")).unwrap_err().to_string();
        assert!(
            error.contains("keyword arguments are a struct or map"),
            "{error}"
        );
    }

    #[test]
    fn a_further_positional_argument_is_before_the_keywords() {
        for (list, expected) in [
            ("[]", "[7]"),
            ("[ ]", "[ 7]"),
            ("[1]", "[1,7]"),
            (
                r#"[{"a":1,"_aj_symbol_keys":["a"]}]"#,
                r#"[{"a":1,"_aj_symbol_keys":["a"]},7]"#,
            ),
            (r#"["_aj_ruby2_keywords"]"#, r#"["_aj_ruby2_keywords",7]"#),
            (
                r#"[[{"_aj_ruby2_keywords":[]}]]"#,
                r#"[[{"_aj_ruby2_keywords":[]}],7]"#,
            ),
            (
                r#"[{"_aj_ruby2_keywords":[]},1]"#,
                r#"[{"_aj_ruby2_keywords":[]},1,7]"#,
            ),
            (
                r#"[{"_aj_ruby2_keywords":[]}]"#,
                r#"[7,{"_aj_ruby2_keywords":[]}]"#,
            ),
            (
                r#"[ 1 , {"a" : {}, "\u005faj_ruby2_keywords":["a"] } ]"#,
                r#"[ 1 , 7,{"a" : {}, "\u005faj_ruby2_keywords":["a"] } ]"#,
            ),
        ] {
            assert_eq!(with_positional(list, "7"), expected);
        }
    }

    #[test]
    fn what_is_in_active_job_s_form_is_taken_as_it_is() {
        let user = r#"[{"_aj_globalid":"gid://app/User/1","x":{"y":1}}]"#;
        case(user, None, user);
    }

    #[test]
    fn numbers_and_text_keep_their_bytes() {
        case(
            "[ 1.0e+100 , [9223372036854775808, \"\\u00e9/\"], {\"a\": -0.0} ]",
            None,
            "[1.0e+100,[9223372036854775808,\"\\u00e9/\"],{\"a\":-0.0,\"_aj_symbol_keys\":[]}]",
        );
    }

    #[test]
    fn what_a_worker_would_not_survive_is_refused() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(arguments(&nested(96), None).is_ok());
        let too_deep = |list: &str, kwargs: Option<&str>| {
            let error = arguments(list, kwargs).unwrap_err().to_string();
            assert!(error.starts_with("nested too deep"), "{error}");
        };
        too_deep(&nested(97), None);
        too_deep(&nested(1_000_000), None);
        too_deep("[]", Some(&format!("{{\"a\":{}}}", nested(1_000_000))));
        // The hash itself would fit, what ActiveJob notes in it doesn't.
        let hash = format!("{}{{}}{}", "[".repeat(95), "]".repeat(95));
        too_deep(&hash, None);
    }
}

//! Dynamic entries, which apps set in Redis while the scheduler runs.
//!
//! They are JSON, as resque-scheduler's `Resque.set_schedule` writes it. Their keys have the same meaning as in a YAML
//! file.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::{
    config::{
        context::Context,
        entry::contents::FileContents,
        read::{
            json,
            value::{Located, Members, Value},
        },
        report::{
            diagnostic::{Diagnostic, first},
            mistake::Mistake,
            source::Source,
        },
        resque::entry::entry,
    },
    core::schedule::{
        LeftOut,
        entry::{Entry, Origin},
    },
};

/// A valid dynamic entry and its warnings.
#[derive(Debug, Clone, PartialEq)]
pub struct DynamicEntry {
    /// The entry, or why it is left out.
    pub entry: Result<Arc<Entry>, LeftOut>,
    /// The warnings about the entry.
    pub warnings: Vec<AtPath>,
}

/// An error or a warning in JSON. Displayed after its path, and followed by the key that was probably meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtPath {
    /// The path of the value, such as `$.every[1].first_in`.
    pub path: String,
    /// The error or warning.
    pub mistake: Mistake,
}

impl fmt::Display for AtPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.mistake)?;
        let meant = self.mistake.meant();
        meant.map_or(Ok(()), |meant| write!(f, "; did you mean `{meant}`?"))
    }
}

/// Reads the dynamic entry `name`. Its arguments are kept byte for byte, unless it is an ActiveJob.
///
/// # Errors
/// Returns all errors and warnings about the entry.
pub fn dynamic_entry(
    name: &str,
    json: &str,
    context: &Context,
) -> Result<DynamicEntry, Vec<AtPath>> {
    let root = json::parse(json).map_err(|mistake| {
        let path = "$".to_owned();
        vec![AtPath { path, mistake }]
    })?;
    // The name is not part of the JSON. Errors about it get the path of the whole JSON.
    let name = Located::new(json.len()..json.len(), Cow::Borrowed(name));
    let source = Source::new(name.get_ref().as_ref(), json);
    let mut contents = FileContents::default();
    let rewrite = |members| with_bytes(members, json);
    entry(
        &mut contents,
        &name,
        Origin::Dynamic,
        root.clone(),
        rewrite,
        &source,
        context,
    );
    let warnings = contents.mistakes;
    let is_refused = warnings.iter().any(|it| !it.mistake.is_warning());
    let warnings = first_at_path(&warnings, &root);
    let left_out = contents.left_out.pop().map(Err);
    match contents.entries.pop().map(Ok).or(left_out) {
        Some(entry) if !is_refused => Ok(DynamicEntry { entry, warnings }),
        _ => Err(warnings),
    }
}

/// Returns the errors and warnings to show, each with its path, and as the last one the number of the others.
fn first_at_path(found: &[Diagnostic], root: &Members<'_>) -> Vec<AtPath> {
    let (shown, more) = first(found);
    let shown = shown.map(|found| {
        let span = found.places.first().and_then(|place| place.span.clone());
        AtPath {
            path: json::path(root, &span.unwrap_or_default()),
            mistake: found.mistake.clone(),
        }
    });
    let more = (more > 0).then(|| AtPath {
        path: "$".to_owned(),
        mistake: Mistake::More(more),
    });
    shown.chain(more).collect()
}

/// Returns the members with `args` replaced by `args_json`, which keeps its bytes.
///
/// Does not change an ActiveJob, whose arguments must be converted.
fn with_bytes<'t>(mut members: Members<'t>, json: &'t str) -> Members<'t> {
    let active_job = members.get("active_job").map(Located::get_ref);
    if active_job != Some(&Value::Flag(true))
        && !members.contains_key("args_json")
        && let Some((key, args)) = members.shift_remove_entry("args")
    {
        let bytes = Value::Text(json[args.span()].into());
        let key = Located::new(key.span(), "args_json".into());
        members.insert(key, Located::new(args.span(), bytes));
    }
    members
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::core::{firing::outcome::Cause, job::json::Unperformable};

    fn read(json: &str) -> Result<DynamicEntry, Vec<AtPath>> {
        let context = Context::default();
        dynamic_entry("e", json, &context)
    }

    #[track_caller]
    fn refused(json: &str, mistakes: &[&str]) {
        let found = read(json).unwrap_err();
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, mistakes, "{json}");
    }

    #[track_caller]
    fn case(json: &str, timing: &str, payload: &str) {
        let entry = read(json).unwrap().entry.unwrap();
        assert_eq!(entry.timing.to_string(), timing);
        assert_eq!(entry.origin, Origin::Dynamic);
        assert_eq!(
            entry.job.payload(Cause::Scheduled, DateTime::UNIX_EPOCH),
            payload
        );
    }

    #[test]
    fn entries_are_read_as_ruby_writes_them() {
        case(
            r#"{"class":"SendEmail","args":"POC email subject","every":["1h",{"first_in":300}],"queue":"mail"}"#,
            "every 1h, first in 5m",
            r#"{"class":"SendEmail","args":["POC email subject"]}"#,
        );
        case(
            r#"{"cron":"0 0 1 1 *","queue":"rq","args":1,"class":"Remote::Job","custom_job_class":"Own"}"#,
            "cron 0 0 1 1 * in UTC",
            r#"{"class":"Own","args":[1]}"#,
        );
    }

    #[test]
    fn arguments_are_kept_byte_for_byte() {
        case(
            r#"{"every":"1h","queue":"q","args":[ 1.0e2, 18446744073709551616, "\u00e9" ]}"#,
            "every 1h",
            r#"{"class":"e","args":[ 1.0e2, 18446744073709551616, "\u00e9" ]}"#,
        );
    }

    #[test]
    fn keys_of_this_scheduler_are_below_rescue_scheduler() {
        case(
            r#"{"every":"1h","queue":"q","class":"J","args":[[1]],"rescue_scheduler":{"include_metadata":true}}"#,
            "every 1h",
            r#"{"class":"J","args":[[1],{"scheduled_at":0}]}"#,
        );
        let json =
            r#"{"every":"1h","queue":"q","args":{":a":1},"rescue_scheduler":{"active_job":true}}"#;
        let payload = read(json)
            .unwrap()
            .entry
            .unwrap()
            .job
            .payload(Cause::Scheduled, DateTime::UNIX_EPOCH)
            .into_owned();
        assert!(
            payload.contains(r#""arguments":[{"a":1,"_aj_symbol_keys":["a"]}]"#),
            "{payload}"
        );
    }

    #[test]
    fn a_warning_about_a_misspelled_key_names_its_effect_on_the_entry() {
        let json = r#"{"crn":"0 5 * * *","queue":"q","descripton":"d"}"#;
        let warnings = read(json).unwrap().warnings;
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            [
                "$.crn: `crn` is ignored, as in resque-scheduler: this entry never fires; did you \
                 mean `cron`?",
                "$.descripton: `descripton` is ignored, as in resque-scheduler; did you mean \
                 `description`?",
            ]
        );
    }

    #[test]
    fn an_error_in_an_entry_of_another_environment_leaves_it_out() {
        let found = read(r#"{"cron":"61 * * * *","queue":"q","rails_env":"production"}"#).unwrap();
        assert!(found.entry.is_err());
        assert_eq!(
            found.warnings[0].to_string(),
            "$.cron: `61` is not a minute; the entry is for another environment"
        );
    }

    #[test]
    fn errors_have_their_paths() {
        refused("[1]", &["$: expected a table, found an array"]);
        refused(
            "{",
            &["$: not JSON: EOF while parsing an object at line 1 column 1"],
        );
        refused(r#"{"every":"1h"}"#, &["$: no queue for entry `e`"]);
        refused(
            r#"{"every":["1h",{"first_in":"soon","x":1}],"queue":["q"],"z":0}"#,
            &[
                "$.z: `z` is ignored, as in resque-scheduler",
                "$.every[1].x: the option `x` has no effect here",
                "$.every[1].first_in: `soon` is neither a duration nor a time",
                "$.queue: expected a string, found an array",
            ],
        );
        refused(
            r#"{"cron":"0 25 * * *","queue":"q"}"#,
            &["$.cron: `25` is not an hour"],
        );
    }

    #[test]
    fn arguments_on_which_a_worker_would_exit_are_refused() {
        let surrogate = Unperformable::LoneSurrogate.to_string();
        let deep = "[".repeat(96) + &"]".repeat(96);
        for (args, path, plain, active_job) in [
            (r#"[1,"\ud83d"]"#, "[1]", &surrogate, &surrogate),
            (
                "[[1e400]]",
                "[0][0]",
                &Unperformable::TooLarge.to_string(),
                &"`1e400` cannot be an argument".to_owned(),
            ),
            (
                &format!("[[[{deep}]]]"),
                "",
                &Unperformable::TooDeep.to_string(),
                &Unperformable::TooDeep.to_string(),
            ),
        ] {
            let entry = |more: &str| format!(r#"{{"every":"1h","queue":"q","args":{args}{more}}}"#);
            refused(&entry(""), &[&format!("$.args: {plain}")]);
            let more = r#","rescue_scheduler":{"active_job":true}"#;
            refused(&entry(more), &[&format!("$.args{path}: {active_job}")]);
        }
        refused(
            r#"{"every":"1h","queue":"q","class":"\udc00"}"#,
            &[&format!("$.class: {surrogate}")],
        );
        refused(
            r#"{"every":"1h","queue":"q","args":[{"\ud83d":1}]}"#,
            &["$: not JSON: unexpected end of hex escape at line 1 column 9"],
        );
    }
}

//! Translates entries of resque-scheduler 5.0, from YAML or from Redis, to the keys of this scheduler.
//!
//! Keys that resque-scheduler ignores are ignored here too, with a warning. Otherwise, a key that never had an effect
//! could change when an entry fires.

use std::{borrow::Cow, ops::Range};

use crate::{
    config::{
        read::value::{Located, Members, Node, Value, scalar_text},
        report::{diagnostic::Diagnostic, mistake::Mistake, source::Source},
    },
    core::time::cron::Cron,
};

/// The keys that resque-scheduler and this scheduler read.
const KEYS: [&str; 10] = [
    "cron",
    "every",
    "never",
    "class",
    "custom_job_class",
    "queue",
    "args",
    "description",
    "rails_env",
    "env",
];

/// A table with one of these keys is an entry.
const ENTRY: [&str; 3] = ["cron", "every", "class"];

/// A key that only the web page of resque-scheduler uses.
const PARAMETERS: &str = "parameters";

/// The table for keys of this scheduler in an entry of resque-scheduler.
const OURS: &str = "rescue_scheduler";

/// The maximum number of unknown keys of an entry that are reported one by one.
const REPORTED: usize = 20;

/// The options of a timing, as in `["1h", {"first_in": "5m"}]`.
const OPTIONS: [&str; 7] = [
    "first", "first_at", "first_in", "last", "last_at", "last_in", "times",
];

/// A translated entry, and the errors and warnings about the original.
pub(in crate::config) struct Translated<'t> {
    /// The keys that have a meaning here. `None` if the entry can never be enqueued and is left out.
    pub(in crate::config) members: Option<Members<'t>>,
    pub(in crate::config) mistakes: Vec<Diagnostic>,
}

/// Translates an entry of resque-scheduler.
pub(in crate::config) fn translated<'t>(
    name: &Located<Cow<'t, str>>,
    members: Members<'t>,
    source: &Source,
) -> Translated<'t> {
    let mut entry = Entry {
        members,
        source,
        mistakes: vec![],
    };
    entry.only_known();
    let never = entry.timing();
    entry.weeks();
    entry.job();
    entry.environment();
    entry.take_ours();
    let has = |key: &&str| entry.members.contains_key(*key);
    let fires = ["cron", "every", "at", "in"].iter().any(has);
    let leave_out = !fires && !has(&"queue");
    let slipped = entry.slips(!fires && !never, !leave_out);
    if !fires && !never && !leave_out && !slipped {
        entry.report(name.span(), Mistake::NeverFires(name.get_ref().to_string()));
    }
    Translated {
        members: (!leave_out).then_some(entry.members),
        mistakes: entry.mistakes,
    }
}

struct Entry<'t, 's> {
    members: Members<'t>,
    source: &'s Source,
    mistakes: Vec<Diagnostic>,
}

impl Entry<'_, '_> {
    fn report(&mut self, span: Range<usize>, mistake: Mistake) {
        self.mistakes
            .push(Diagnostic::new(self.source, Some(span), mistake));
    }

    /// Removes the key, if the entry has it, and reports why.
    fn ignore(&mut self, key: &str, why: impl FnOnce(String) -> Mistake) {
        if let Some((key, _)) = self.members.shift_remove_entry(key) {
            self.report(key.span(), why(key.into_inner().into_owned()));
        }
    }

    /// Removes the key if its value is null or false, because resque-scheduler treats them as if the key were missing.
    fn drop_empty(&mut self, key: &str) {
        let empty = |node: &Node<'_>| matches!(node.get_ref(), Value::Null | Value::Flag(false));
        if self.members.get(key).is_some_and(empty) {
            self.members.shift_remove(key);
        }
    }

    /// Converts a scalar value to text as Ruby's `to_s` does.
    fn as_text(&mut self, key: &str) {
        if let Some(node) = self.members.get_mut(key)
            && !matches!(node.get_ref(), Value::Null)
        {
            let value = std::mem::replace(node.get_mut(), Value::Null);
            *node.get_mut() = scalar_text(value).map_or_else(|other| other, Value::Text);
        }
    }

    fn only_known(&mut self) {
        self.members.shift_remove(PARAMETERS);
        self.ignore("persist", |_| Mistake::Persist);
        let is_known = |key: &str| KEYS.contains(&key) || key == OURS;
        let is_entry = |value: &Value<'_>| {
            let table = value.as_table();
            table.is_ok_and(|it| ENTRY.iter().any(|key| it.contains_key(*key)))
        };
        let mut unknown = vec![];
        self.members.retain(|key, value| {
            let name = key.get_ref();
            if !is_known(name) {
                let mistake = if is_entry(value.get_ref()) {
                    Mistake::Nested
                } else {
                    let known = KEYS.into_iter().chain([OURS]);
                    Mistake::Ignored(name.to_string(), known.collect())
                };
                unknown.push((key.span(), mistake));
            }
            is_known(name)
        });
        self.report_first(unknown);
    }

    /// Reports the first of these errors and warnings, and the number of the others, which nobody would read.
    fn report_first(&mut self, found: Vec<(Range<usize>, Mistake)>) {
        let more = found.len().saturating_sub(REPORTED);
        for (number, (span, mistake)) in found.into_iter().enumerate().take(REPORTED + 1) {
            let is_shown = number < REPORTED;
            self.report(
                span,
                if is_shown {
                    mistake
                } else {
                    Mistake::MoreIgnored(more)
                },
            );
        }
    }

    /// Adds to the warning about a misspelled key what the entry does without the key that was meant.
    ///
    /// Returns whether the entry never fires because of a misspelled key.
    fn slips(&mut self, never_fires: bool, enqueued: bool) -> bool {
        let lacks = |keys: &[&str]| !keys.iter().any(|key| self.members.contains_key(*key));
        let everywhere = enqueued && lacks(&["rails_env", "env"]);
        let no_arguments = enqueued && lacks(&["args", "args_json", "kwargs"]);
        let no_class = enqueued && lacks(&["class"]);
        let mut slipped = false;
        for Diagnostic { mistake, .. } in &mut self.mistakes {
            let (Mistake::Ignored(key, _), Some(meant)) = (&*mistake, mistake.meant()) else {
                continue;
            };
            let effect = match meant {
                "cron" | "every" if never_fires => {
                    slipped = true;
                    "this entry never fires"
                }
                "rails_env" | "env" if everywhere => "this entry is loaded in every environment",
                "args" if no_arguments => "the job gets no arguments",
                OURS => "the settings below it do not count",
                "class" if no_class => "the entry's name is used as the class",
                _ => continue,
            };
            *mistake = Mistake::Slip(key.clone(), meant, effect);
        }
        slipped
    }

    /// Translates the timing. Returns whether the entry never fires on its own by intention, or because of its `times`.
    fn timing(&mut self) -> bool {
        let mut never = self.members.shift_remove("never").is_some();
        for key in ["cron", "every"] {
            self.drop_empty(key);
            if self.members.get(key).is_some_and(is_empty) {
                self.ignore(key, Mistake::NoTiming);
            }
            self.first_of_list(key);
            self.options(key);
        }
        if self.members.contains_key("cron") {
            self.ignore("every", |_| Mistake::Beside("every", "cron"));
        }
        for key in ["cron", "every"] {
            if let Some((span, times)) = self.members.get(key).and_then(no_times) {
                self.report(span, Mistake::NoTimes(times));
                self.members.shift_remove(key);
                never = true;
            }
        }
        never
    }

    /// Keeps only the first value of a list, unless the list is a value and its options.
    ///
    /// This is what `optionizate_interval_value` of resque-scheduler does.
    fn first_of_list(&mut self, key: &'static str) {
        let Some(Value::List(list)) = self.members.get_mut(key).map(Located::get_mut) else {
            return;
        };
        let with_options =
            |options: &Node<'_>| matches!(options.get_ref(), Value::Table(_) | Value::Null);
        match &list[..] {
            [_, options] if with_options(options) => {}
            [_, second, ..] => {
                let span = second.span();
                list.truncate(1);
                self.report(span, Mistake::FirstCounts(key));
            }
            _ => {}
        }
    }

    /// Removes options that have no effect in this scheduler.
    fn options(&mut self, key: &str) {
        let Some(Value::List(list)) = self.members.get_mut(key).map(Located::get_mut) else {
            return;
        };
        if list
            .get(1)
            .is_some_and(|node| *node.get_ref() == Value::Null)
        {
            list.truncate(1);
        }
        let Some(Value::Table(options)) = list.get_mut(1).map(Located::get_mut) else {
            return;
        };
        options.retain(|_, node| *node.get_ref() != Value::Null);
        let mut unknown = vec![];
        options.retain(|key, _| {
            let name = &**key.get_ref();
            let is_known = OPTIONS.contains(&name);
            if !is_known {
                let mistake = Mistake::Option(name.to_owned(), OPTIONS.to_vec());
                unknown.push((key.span(), mistake));
            }
            is_known
        });
        if options.is_empty() {
            list.truncate(1);
        }
        self.report_first(unknown);
    }

    /// Warns about weekdays with a modulo that fire in other weeks if the app has an old et-orbi.
    fn weeks(&mut self) {
        let Some((key, cron)) = self.members.get_key_value("cron") else {
            return;
        };
        let text = cron.get_ref().as_list().and_then(<[_]>::first);
        let text = text.unwrap_or(cron);
        let read = text.get_ref().as_text().ok().filter(|it| it.contains('%'));
        let read = read.and_then(|text| Cron::parse(text, "").ok());
        let span = key.span();
        for (item, here) in read.map_or_else(Vec::new, |it| it.weeks_before_et_orbi_1_4()) {
            self.report(span.clone(), Mistake::OtherWeeks(item, here));
        }
    }

    fn job(&mut self) {
        self.drop_empty("custom_job_class");
        for key in ["class", "custom_job_class", "queue", "description"] {
            self.as_text(key);
        }
        let custom = self.members.shift_remove_entry("custom_job_class");
        let is_custom = |(_, class): &(_, Node<'_>)| class.get_ref().as_text() != Ok("Resque::Job");
        if let Some((key, class)) = custom.filter(is_custom) {
            self.report(key.span(), Mistake::CustomJobClass);
            self.members.shift_remove("class");
            self.members
                .insert(Located::new(key.span(), "class".into()), class);
        }
        for key in ["queue", "description"] {
            self.drop_empty(key);
        }
        let is_text = |node: &Node<'_>| !matches!(node.get_ref(), Value::List(_) | Value::Table(_));
        if !self.members.get("description").is_none_or(is_text) {
            self.ignore("description", |_| Mistake::Description);
        }
        if matches!(
            self.members.get("args").map(Located::get_ref),
            Some(Value::Null)
        ) {
            self.members.shift_remove("args");
        }
    }

    fn environment(&mut self) {
        for key in ["rails_env", "env"] {
            self.drop_empty(key);
            self.as_text(key);
        }
        if self.members.contains_key("rails_env") {
            self.ignore("env", |_| Mistake::Beside("env", "rails_env"));
        }
        for key in ["rails_env", "env"] {
            // A list is allowed in TOML, but it crashes resque-scheduler.
            let list = self
                .members
                .get(key)
                .filter(|node| node.get_ref().as_text().is_err());
            if let Some(node) = list {
                let span = node.span();
                self.report(span, Mistake::EnvironmentList);
                self.members.shift_remove(key);
            }
        }
    }

    /// Moves the keys of the table `rescue_scheduler` into the entry.
    fn take_ours(&mut self) {
        let Some((_, ours)) = self.members.shift_remove_entry(OURS) else {
            return;
        };
        match ours.get_ref().as_table() {
            Ok(members) => self.members.extend(members.clone()),
            Err(mistake) => self.report(ours.span(), mistake),
        }
    }
}

/// Whether Ruby's `empty?` is true for the value.
fn is_empty(node: &Node<'_>) -> bool {
    match node.get_ref() {
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Table(members) => members.is_empty(),
        _ => false,
    }
}

/// Returns the option `times` of a timing and its position, if the entry never fires because of it.
///
/// rufus-scheduler accepts any integer, and fires while it is above 0 (`RepeatJob#trigger`).
fn no_times(timing: &Node<'_>) -> Option<(Range<usize>, String)> {
    let options = timing.get_ref().as_list()?.get(1)?;
    let times = options.get_ref().as_table().ok()?.get("times")?;
    match times.get_ref() {
        Value::Integer(digits) if digits == "0" || digits.starts_with('-') => {
            Some((times.span(), digits.to_string()))
        }
        _ => None,
    }
}

//! The help texts of errors and warnings.

use crate::{config::report::mistake::Mistake, core::suggestion::nearest};

/// The values of `catch_up`.
const POLICIES: [&str; 3] = ["latest", "all", "none"];

/// The values of `overlap`.
const OVERLAPS: [&str; 3] = ["allow", "skip_if_queued", "skip_if_running"];

impl Mistake {
    /// Returns how to correct the error. Printed as a `help:` line.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Missing => {
                "check the path; if it is a directory, every `*.toml`, `*.yml` and `*.yaml` file in it is read"
            }
            Self::Unreadable(_) => "the user that runs the scheduler must be able to read it",
            Self::NotPlain(_) => {
                "name a regular file; write the output of a command to a file first, so that a reload can read it again"
            }
            Self::TooLarge(_) => {
                "split the schedule into several files, or raise --max-schedule-size"
            }
            Self::NoFiles => "put a schedule file into it, or name the file itself",
            Self::NoEntries => {
                "a failed template leaves an empty file; to move delayed jobs only, start the scheduler without a schedule"
            }
            Self::NotYaml => "name a file that ends in `.yml` or `.yaml`",
            Self::NotUtf8 => "save the file in UTF-8",
            Self::Syntax(message) if message == "duplicate key" => {
                "each key and each table can be given only once"
            }
            Self::UnknownKey(key, known) => return Some(suggestion(key, known)),
            Self::UnknownPolicy(policy) => return Some(suggestion(policy, &POLICIES)),
            Self::UnknownOverlap(overlap) => return Some(suggestion(overlap, &OVERLAPS)),
            Self::QueueLength => "write a number such as `100`, or remove it",
            Self::Empty(_) => "give it a value, or remove it",
            Self::Both(..) => "keep one of the two",
            Self::Alone("timezone", _) => "an interval is the same in every time zone; remove it",
            Self::Moment(_) => {
                "write \"5m\", \"now\", a time with its offset such as \"2026-12-24T15:00:00Z\", or one \
                 in the entry's zone such as \"2026-12-24 15:00\""
            }
            Self::Instant(_) => {
                "write it with its offset, \"2026-12-24T15:00:00Z\", or in the entry's zone, \
                 \"2026-12-24 15:00\""
            }
            Self::Alone(..) | Self::Beside(..) | Self::Persist => "remove it",
            Self::EmptyItem => "remove the comma, or write the missing value",
            Self::Priority => "write a number such as `10`, or remove it",
            Self::NoQueue(_) => {
                "give the entry a `queue`, or in TOML set one in `[defaults]`; the scheduler does not know the queue of its class"
            }
            Self::Repeated(_) => "rename or remove one of them",
            Self::NoEnvironment => {
                "name one or more, such as `\"production, staging\"`, or remove it"
            }
            Self::Cron(error) => return error.help.clone(),
            Self::Zone(error) => {
                let nearest = error.nearest.as_ref();
                return nearest.map(|zone| format!("did you mean `{zone}`?"));
            }
            Self::Duration(error) => error.help,
            Self::BadNumber(_) => {
                "quote it to make it text; `args_json` takes integers of any size"
            }
            other => return other.help_with_yaml(),
        };
        Some(help.to_owned())
    }

    /// Returns the help for errors that only files of resque-scheduler can have, and `None` for all others.
    fn help_with_yaml(&self) -> Option<String> {
        let help = match self {
            Self::Erb => {
                "render the file first, `erb resque_schedule.yml.erb > resque_schedule.yml`, or write the value itself"
            }
            Self::Syntax(message)
                if ["`@'", "``'", "`%'"].iter().any(|it| message.ends_with(it)) =>
            {
                "quote the value"
            }
            Self::Syntax(message) if message.contains("anchor") => {
                "quote a value that begins with `*`, such as a cron expression; define an anchor before you use it"
            }
            Self::Nested => {
                "put every entry at the top level; the scheduler takes no part of the file, as `[Rails.env]` does in Ruby; name the environment in `rails_env`"
            }
            Self::EnvironmentList => "write a comma-separated text such as `staging, production`",
            Self::Template => {
                "render it first: `erb resque_schedule.yml.erb > resque_schedule.yml`, or with `rails runner` if it uses Rails"
            }
            Self::CustomJobClass => {
                "if its method `scheduled` does more than enqueue the job, move that code elsewhere"
            }
            Self::Option(name, known) => {
                if let Some(other) = nearest(name, known.iter().copied()) {
                    return Some(format!("did you mean `{other}`?"));
                }
                "remove it: such options control threads of the Ruby process; to keep jobs from piling up, use `overlap` under `rescue_scheduler`"
            }
            Self::OtherWeeks(_, here) => {
                return Some(format!(
                    "if the app has an older version (`bundle info et-orbi`), write `{here}`"
                ));
            }
            Self::NoTiming(_) => "give it a value, or remove it",
            Self::FirstCounts(_) => {
                "give each of the other values its own entry; options are a table: `[\"1h\", {first_in: 5m}]`"
            }
            Self::NoTimes(_) => "write a number above 0, or remove the entry",
            Self::Description | Self::TimeAsText | Self::RubyTime(_) => "quote it to make it text",
            Self::Elsewhere(mistake) => return mistake.help(),
            Self::LineBreak => "remove it, or quote the text",
            Self::SecondDocument => "Ruby reads only the first document; remove the others",
            Self::EntryTwice(_) => "rename or remove one of them; Ruby would use only the last one",
            Self::GivenTwice(_) => "keep the last one, which is the one that is used",
            Self::Tag(_) => "remove it, or write the value that it represents",
            Self::Ignored(..) | Self::Slip(..) => {
                if let Some(meant) = self.meant() {
                    return Some(format!("did you mean `{meant}`?"));
                }
                "remove it; keys that only this scheduler has go under `rescue_scheduler`"
            }
            Self::NeverFires(_) => {
                "give it a `cron` or an `every`; if it is meant never to fire, write `never`"
            }
            _ => return None,
        };
        Some(help.to_owned())
    }
}

/// Suggests the known word that is most similar to `word`, or lists all known words if none is similar.
fn suggestion(word: &str, known: &[&str]) -> String {
    if let Some(other) = nearest(word, known.iter().copied()) {
        return format!("did you mean `{other}`?");
    }
    let known: Vec<_> = known.iter().map(|key| format!("`{key}`")).collect();
    format!("allowed here: {}", known.join(", "))
}

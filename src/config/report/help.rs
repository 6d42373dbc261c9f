//! How to mend a mistake.

use crate::{config::report::mistake::Mistake, core::suggestion::nearest};

/// The values of `catch_up`.
const POLICIES: [&str; 3] = ["latest", "all", "none"];

/// The values of `overlap`.
const OVERLAPS: [&str; 3] = ["allow", "skip_if_queued", "skip_if_running"];

impl Mistake {
    /// How to mend it; printed as a `help:` line.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Missing => {
                "check the path; of a directory, every `*.toml`, `*.yml` and `*.yaml` in it is read"
            }
            Self::Unreadable(_) => "the user that the scheduler works as must be able to read it",
            Self::NotPlain(_) => {
                "name a plain file; write the output of a command to a file first, so that a reload can read it again"
            }
            Self::TooLarge(_) => {
                "split the schedule into several files, or raise --max-schedule-size"
            }
            Self::NoFiles => "put a schedule file into it, or name the file itself",
            Self::NoEntries => {
                "a template that fails leaves such a file; if you want delayed jobs only, start without a \
                 schedule"
            }
            Self::NotYaml => "name a file that ends in `.yml` or `.yaml`",
            Self::NotUtf8 => "save the file in UTF-8",
            Self::Syntax(message) if message == "duplicate key" => {
                "each key and each table can be given only once"
            }
            Self::UnknownKey(key, known) => return Some(suggestion(key, known)),
            Self::UnknownPolicy(policy) => return Some(suggestion(policy, &POLICIES)),
            Self::UnknownOverlap(overlap) => return Some(suggestion(overlap, &OVERLAPS)),
            Self::QueueLength => "write a number such as `100`, or take it out",
            Self::Empty(_) => "fill it in, or take it out",
            Self::Both(..) => "keep one of the two",
            Self::Alone("timezone", _) => "an interval is the same in every zone: take it out",
            Self::Moment(_) => {
                "write \"5m\", \"now\", a time with its offset such as \"2026-12-24T15:00:00Z\", or one \
                 in the entry's zone such as \"2026-12-24 15:00\""
            }
            Self::Instant(_) => {
                "write it with its offset, \"2026-12-24T15:00:00Z\", or in the entry's zone, \
                 \"2026-12-24 15:00\""
            }
            Self::Alone(..) | Self::Beside(..) | Self::Persist => "take it out",
            Self::EmptyItem => "take the comma out, or write the value that is missing beside it",
            Self::Priority => "write a number such as `10`, or take it out",
            Self::NoQueue(_) => {
                "give the entry a `queue` (in TOML, `[defaults]` may have one for all); what its class \
                 says is not known here"
            }
            Self::Repeated(_) => "rename one of them, or take it out",
            Self::NoEnvironment => "name one or more, `\"production, staging\"`, or take it out",
            Self::Cron(error) => return error.help.clone(),
            Self::Zone(error) => {
                let nearest = error.nearest.as_ref();
                return nearest.map(|zone| format!("did you mean `{zone}`?"));
            }
            Self::Duration(error) => error.help,
            Self::BadNumber(_) => {
                "put it into quotes, as text; `args_json` takes integers of any size"
            }
            other => return other.help_with_yaml(),
        };
        Some(help.to_owned())
    }

    /// The same for what only files of resque-scheduler have; of all others there is nothing to say.
    fn help_with_yaml(&self) -> Option<String> {
        let help = match self {
            Self::Erb => {
                "render the file first, `erb resque_schedule.yml.erb > resque_schedule.yml`, or write \
                 the value itself"
            }
            Self::Syntax(message)
                if ["`@'", "``'", "`%'"].iter().any(|it| message.ends_with(it)) =>
            {
                "put the value into quotes"
            }
            Self::Syntax(message) if message.contains("anchor") => {
                "put a value that begins with `*`, such as a cron expression, into quotes; an anchor must \
                 stand before what names it"
            }
            Self::Nested => {
                "where Ruby takes one part of the file, `[Rails.env]`, here all entries stand at the top, \
                 with `rails_env` where they need one"
            }
            Self::EnvironmentList => "write `staging, production`, as the gem reads it",
            Self::Template => {
                "render it first, `erb resque_schedule.yml.erb > resque_schedule.yml`, or with \
                 `rails runner`, where it asks Rails"
            }
            Self::CustomJobClass => {
                "if its method `scheduled` does more than to enqueue it, that must be done elsewhere"
            }
            Self::Option(name, known) => {
                if let Some(other) = nearest(name, known.iter().copied()) {
                    return Some(format!("did you mean `{other}`?"));
                }
                "take it out: such options are about threads of the Ruby process; `overlap` below \
                 `rescue_scheduler` is about jobs"
            }
            Self::OtherWeeks(_, here) => {
                return Some(format!(
                    "if the app has an older one (`bundle info et-orbi`), write `{here}`"
                ));
            }
            Self::NoTiming(_) => "fill it in, or take it out",
            Self::FirstCounts(_) => {
                "give each of the others an entry of its own; options are a table: `[\"1h\", {first_in: 5m}]`"
            }
            Self::NoTimes(_) => "write a number above 0, or take the entry out",
            Self::Description | Self::TimeAsText => "write it as text, in quotes",
            Self::Elsewhere(mistake) => return mistake.help(),
            Self::LineBreak => "take it out, or put the text into quotes",
            Self::RubyTime(_) => "put it into quotes, as text",
            Self::SecondDocument => "Ruby reads the first one alone: take the others out",
            Self::EntryTwice(_) => {
                "rename one of them, or take it out: the last one would replace it"
            }
            Self::GivenTwice(_) => "keep the last one, which counts",
            Self::Tag(_) => "take it out, or write the value that it stands for",
            Self::Ignored(..) | Self::Slip(..) => {
                if let Some(meant) = self.meant() {
                    return Some(format!("did you mean `{meant}`?"));
                }
                "take it out; keys that only this scheduler has stand below `rescue_scheduler`"
            }
            Self::NeverFires(_) => {
                "give it a `cron` or an `every`; `never` says that it is meant so"
            }
            _ => return None,
        };
        Some(help.to_owned())
    }
}

/// Points from `word` to the one of `known` that it is a slip of, else to all of them.
fn suggestion(word: &str, known: &[&str]) -> String {
    if let Some(other) = nearest(word, known.iter().copied()) {
        return format!("did you mean `{other}`?");
    }
    let known: Vec<_> = known.iter().map(|key| format!("`{key}`")).collect();
    format!("allowed here: {}", known.join(", "))
}

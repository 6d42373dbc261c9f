//! All errors and warnings about schedules.
//!
//! The messages for expressions, zones and durations come from `core`.

use crate::core::{
    job::json::Unperformable,
    suggestion::nearest,
    time::{cron::CronError, duration::DurationError, every::EveryError, zone::ZoneError},
};

/// An error or a warning about a schedule. Displayed as the message without the position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// There is nothing at this path.
    #[error("no such file or directory")]
    Missing,
    /// The file cannot be read. Holds the error of the operating system.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The path is not a regular file. Holds what it is.
    #[error("not a regular file but {0}")]
    NotPlain(&'static str),
    /// A file that is larger than this many bytes.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// A directory without schedule files.
    #[error("no `*.toml`, `*.yml` or `*.yaml` in this directory")]
    NoFiles,
    /// A file without any entry.
    #[error("the file has no entries")]
    NoEntries,
    /// A TOML file where a YAML file is required.
    #[error("not a schedule in YAML")]
    NotYaml,
    /// A file that is not UTF-8.
    #[error("not UTF-8 text")]
    NotUtf8,
    /// A syntax error in TOML or YAML. Holds the parser's message.
    #[error("{0}")]
    Syntax(String),
    /// A key that is not known in this table, and the known keys.
    #[error("unknown key `{0}`")]
    UnknownKey(String, Vec<&'static str>),
    /// A value of the wrong type: the expected and the found type.
    #[error("expected {0}, found {1}")]
    WrongType(&'static str, &'static str),
    /// A text that must not be empty.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// Two keys that exclude each other.
    #[error("both `{0}` and `{1}` are given")]
    Both(&'static str, &'static str),
    /// A key without the other keys that it needs.
    #[error("`{0}` has no effect without {1}")]
    Alone(&'static str, &'static str),
    /// A priority that is not a whole number.
    #[error("`priority` must be a whole number")]
    Priority,
    /// An entry without a queue.
    #[error("no queue for entry `{0}`")]
    NoQueue(String),
    /// A name that is in more than one file.
    #[error("entry `{0}` is in more than one file")]
    Repeated(String),
    /// An unknown value of `catch_up`.
    #[error("unknown catch-up policy `{0}`")]
    UnknownPolicy(String),
    /// An unknown value of `overlap`.
    #[error("unknown overlap policy `{0}`")]
    UnknownOverlap(String),
    /// A `max_queue_length` that is not a whole number of at least 1.
    #[error("`max_queue_length` must be a whole number of at least 1")]
    QueueLength,
    /// An empty list of environments.
    #[error("no environment is named")]
    NoEnvironment,
    /// An invalid cron expression.
    #[error(transparent)]
    Cron(CronError),
    /// An unknown time zone.
    #[error(transparent)]
    Zone(ZoneError),
    /// A text that is not a duration.
    #[error(transparent)]
    Duration(DurationError),
    /// A negative or very long duration.
    #[error("a duration must be between 0 seconds and {LONGEST_YEARS} years")]
    DurationRange,
    /// A value that is neither a duration nor a time.
    #[error("`{0}` is neither a duration nor a time")]
    Moment(String),
    /// A value that is not a time.
    #[error("`{0}` is not a time")]
    Instant(String),
    /// No fire between `starts_at` and `ends_at`.
    #[error("no fire time is between `starts_at` and `ends_at`")]
    NoSpan,
    /// A last fire that is not after the first fire.
    #[error("the last fire must be after the first one")]
    LastBeforeFirst,
    /// A jitter that is as long as the interval, or longer.
    #[error("`jitter` must be shorter than the interval")]
    Jitter,
    /// A `times` that is not a whole number of at least 1.
    #[error("`times` must be a whole number of at least 1")]
    Times,
    /// An interval that is not a whole number of seconds.
    #[error(transparent)]
    Every(EveryError),
    /// Invalid JSON. Holds the parser's message.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// An ERB tag in YAML.
    #[error("ERB is not evaluated; resque-scheduler does not evaluate it either")]
    Erb,
    /// A date or time in YAML, which Ruby does not load.
    #[error("`{0}` is a time, and JSON has no times")]
    RubyTime(String),
    /// A character that Ruby's YAML reads as a line break.
    #[error("this text contains a Unicode line break")]
    LineBreak,
    /// More than one document in a file.
    #[error("a second document begins here")]
    SecondDocument,
    /// Two entries with the same name in a YAML file.
    #[error("entry `{0}` is given twice")]
    EntryTwice(String),
    /// A YAML tag for a type that JSON does not have.
    #[error("the tag `{0}` is not supported")]
    Tag(String),
    /// An alias within the value that it refers to.
    #[error("this alias refers to a value that contains it")]
    HoldsItself,
    /// Aliases that repeat too many values.
    #[error("the aliases up to here expand to too many values")]
    TooManyAliases,
    /// Arguments on which a worker would exit.
    #[error(transparent)]
    Unperformable(Unperformable),
    /// A warning: a key that resque-scheduler ignores, and the keys that it reads.
    #[error("`{0}` is ignored, as in resque-scheduler")]
    Ignored(String, Vec<&'static str>),
    /// A warning: the number of further ignored keys.
    #[error("{0} more keys are ignored")]
    MoreIgnored(usize),
    /// A warning: the number of further errors and warnings about a dynamic entry.
    #[error("{0} more errors and warnings")]
    More(usize),
    /// A warning: an ignored key, the key that was probably meant, and the effect of its absence.
    #[error("`{0}` is ignored, as in resque-scheduler: {2}")]
    Slip(String, &'static str, &'static str),
    /// An entry below a key of another entry.
    #[error("an entry is nested in another entry")]
    Nested,
    /// A list of environments, which crashes resque-scheduler.
    #[error("`rails_env` must be text, not a list")]
    EnvironmentList,
    /// An ERB template.
    #[error("this is a template, not YAML")]
    Template,
    /// A warning: an option of a timing that has no effect here, and the options that have one.
    #[error("the option `{0}` has no effect here")]
    Option(String, Vec<&'static str>),
    /// A warning: a class that enqueues the job with its own code in Ruby.
    #[error(
        "the scheduler enqueues `custom_job_class` in place of `class`, because it calls no Ruby code"
    )]
    CustomJobClass,
    /// A warning: a key that is ignored because another key is given.
    #[error("`{0}` is ignored because `{1}` is given, as in resque-scheduler")]
    Beside(&'static str, &'static str),
    /// A warning: an empty `cron` or `every`.
    #[error("`{0}` is empty and ignored, as in resque-scheduler")]
    NoTiming(String),
    /// A warning: a `cron` or `every` that is a list of several values.
    #[error("`{0}` is a list: only its first value counts, as in resque-scheduler")]
    FirstCounts(&'static str),
    /// A warning: a number of fires below 1.
    #[error("`times` is {0}: this entry never fires, as in resque-scheduler")]
    NoTimes(String),
    /// A warning: a description that is a list or a table.
    #[error("`description` is ignored: it is not text")]
    Description,
    /// A warning: a description that Ruby's YAML reads as a time.
    #[error("`description` is a date or a time and is read as text")]
    TimeAsText,
    /// A warning: an error in an entry for another environment, which resque-scheduler does not check.
    #[error("{0}; the entry is for another environment")]
    Elsewhere(Box<Mistake>),
    /// A warning: the key `persist`, with which resque-scheduler keeps an entry after its file.
    #[error("`persist` is ignored: an entry lasts as long as it is in the file or in Redis")]
    Persist,
    /// A warning: a key that is given twice in a table.
    #[error("`{0}` is given twice")]
    GivenTwice(String),
    /// A warning: a weekday with a modulo that fires in other weeks in older apps, and the item that does so here.
    #[error("apps with et-orbi before 1.4.0 fire `{0}` in other weeks, as `{1}` does here")]
    OtherWeeks(String, String),
    /// A warning: an empty item in a list of a cron expression.
    #[error("an empty item in the list is ignored")]
    EmptyItem,
    /// A warning: an entry without a timing.
    #[error("entry `{0}` never fires on its own")]
    NeverFires(String),
    /// A number that does not exist in JSON, or that is too large for TOML.
    #[error("`{0}` cannot be an argument")]
    BadNumber(String),
}

/// The maximum duration in a schedule.
pub(in crate::config) const LONGEST_YEARS: i64 = 100;

impl Mistake {
    /// Whether this is a warning, so that the schedule is used anyway.
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::Ignored(..)
                | Self::MoreIgnored(_)
                | Self::More(_)
                | Self::Slip(..)
                | Self::Option(..)
                | Self::CustomJobClass
                | Self::Beside(..)
                | Self::NoTiming(_)
                | Self::FirstCounts(_)
                | Self::NoTimes(_)
                | Self::Description
                | Self::TimeAsText
                | Self::Elsewhere(_)
                | Self::Persist
                | Self::GivenTwice(_)
                | Self::OtherWeeks(..)
                | Self::EmptyItem
                | Self::NeverFires(_)
        )
    }

    /// Returns the key that was probably meant by an ignored key.
    pub(in crate::config) fn meant(&self) -> Option<&'static str> {
        match self {
            Self::Ignored(key, known) => {
                let other_word = match &**key {
                    "environment" | "environments" | "enviroment" => Some("rails_env"),
                    "arguments" | "arg" | "params" => Some("args"),
                    "klass" => Some("class"),
                    _ => None,
                };
                other_word.or_else(|| nearest(key, known.iter().copied()))
            }
            Self::Slip(_, meant, _) => Some(meant),
            _ => None,
        }
    }

    /// Whether the warning may be about a correct file, so that `check --strict` does not fail because of it.
    pub fn is_advice(&self) -> bool {
        matches!(self, Self::OtherWeeks(..) | Self::Elsewhere(_))
    }
}

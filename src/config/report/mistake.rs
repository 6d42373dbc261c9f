//! What can be wrong with a schedule, and how to mend it: all that a user reads about a schedule file, but
//! for what `core` says about an expression, a zone or a duration.

use crate::core::{
    job::json::Unperformable,
    suggestion::nearest,
    time::{cron::CronError, duration::DurationError, every::EveryError, zone::ZoneError},
};

/// What is wrong with a schedule. Displayed, it is the message without the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// Nothing at this path.
    #[error("no such file or directory")]
    Missing,
    /// The system refuses to read it, in the system's words.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// Something other than a plain file: what it is.
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
    /// A file in TOML where one in YAML is wanted.
    #[error("not a schedule in YAML")]
    NotYaml,
    /// Bytes that are no text.
    #[error("not UTF-8 text")]
    NotUtf8,
    /// Neither TOML nor YAML, in the parser's words.
    #[error("{0}")]
    Syntax(String),
    /// A key that means nothing in this table, and those that mean something.
    #[error("unknown key `{0}`")]
    UnknownKey(String, Vec<&'static str>),
    /// A value of another type: what was expected, what was found.
    #[error("expected {0}, found {1}")]
    WrongType(&'static str, &'static str),
    /// A text that must not be empty.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// Two keys of which an entry takes one.
    #[error("both `{0}` and `{1}` are given")]
    Both(&'static str, &'static str),
    /// A key without the others that it is about.
    #[error("`{0}` has no effect without {1}")]
    Alone(&'static str, &'static str),
    /// A priority that is none.
    #[error("`priority` must be a whole number")]
    Priority,
    /// An entry without a queue.
    #[error("no queue for entry `{0}`")]
    NoQueue(String),
    /// One name for two entries.
    #[error("entry `{0}` is in more than one file")]
    Repeated(String),
    /// A value that `catch_up` doesn't have.
    #[error("unknown catch-up policy `{0}`")]
    UnknownPolicy(String),
    /// A value that `overlap` doesn't have.
    #[error("unknown overlap policy `{0}`")]
    UnknownOverlap(String),
    /// A length of a queue that is none.
    #[error("`max_queue_length` must be a whole number of at least 1")]
    QueueLength,
    /// A list of environments with none in it.
    #[error("no environment is named")]
    NoEnvironment,
    /// An expression that is refused.
    #[error(transparent)]
    Cron(CronError),
    /// A time zone that nobody knows.
    #[error(transparent)]
    Zone(ZoneError),
    /// Text that is no duration.
    #[error(transparent)]
    Duration(DurationError),
    /// A negative duration, or one that no schedule needs.
    #[error("a duration must be between 0 seconds and {LONGEST_YEARS} years")]
    DurationRange,
    /// Neither a duration nor a time.
    #[error("`{0}` is neither a duration nor a time")]
    Moment(String),
    /// No time.
    #[error("`{0}` is not a time")]
    Instant(String),
    /// A span in which nothing fires.
    #[error("no fire time is between `starts_at` and `ends_at`")]
    NoSpan,
    /// An end before the beginning.
    #[error("the last fire must be after the first one")]
    LastBeforeFirst,
    /// A delay that would not leave the fires apart.
    #[error("`jitter` must be shorter than the interval")]
    Jitter,
    /// A number of fires that is none.
    #[error("`times` must be a whole number of at least 1")]
    Times,
    /// An interval that can't be kept.
    #[error(transparent)]
    Every(EveryError),
    /// Not JSON, in the parser's words.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// A template's tag in YAML.
    #[error("ERB is not evaluated; resque-scheduler does not evaluate it either")]
    Erb,
    /// A date or time in YAML, which Ruby doesn't load.
    #[error("`{0}` is a time, and JSON has no times")]
    RubyTime(String),
    /// A letter that Ruby's YAML takes for the end of a line.
    #[error("this text contains a Unicode line break")]
    LineBreak,
    /// More than one document in a file.
    #[error("a second document begins here")]
    SecondDocument,
    /// One name for two entries of a YAML file.
    #[error("entry `{0}` is given twice")]
    EntryTwice(String),
    /// A tag of YAML that stands for what JSON doesn't have.
    #[error("the tag `{0}` is not supported")]
    Tag(String),
    /// An alias within what it stands for.
    #[error("this alias refers to a value that contains it")]
    HoldsItself,
    /// Aliases of aliases.
    #[error("the aliases up to here expand to too many values")]
    TooManyAliases,
    /// Values on which the worker would exit.
    #[error(transparent)]
    Unperformable(Unperformable),
    /// A warning: a key that the gem doesn't look at, and those that it does.
    #[error("`{0}` is ignored, as in resque-scheduler")]
    Ignored(String, Vec<&'static str>),
    /// A warning: how many more such keys there are.
    #[error("{0} more keys are ignored")]
    MoreIgnored(usize),
    /// How many more mistakes there are in a dynamic entry.
    #[error("{0} more errors and warnings")]
    More(usize),
    /// A warning: a key that the gem doesn't look at, the one that it may be a slip of, and what the entry
    /// does without that.
    #[error("`{0}` is ignored, as in resque-scheduler: {2}")]
    Slip(String, &'static str, &'static str),
    /// An entry below a key of another.
    #[error("an entry is nested in another entry")]
    Nested,
    /// A list of environments, which the gem dies of.
    #[error("`rails_env` must be text, not a list")]
    EnvironmentList,
    /// A template.
    #[error("this is a template, not YAML")]
    Template,
    /// A warning: an option beside an expression that means nothing here, and those that do.
    #[error("the option `{0}` has no effect here")]
    Option(String, Vec<&'static str>),
    /// A warning: a class that would enqueue the job with code of its own.
    #[error(
        "the scheduler enqueues `custom_job_class` in place of `class`, because it calls no Ruby code"
    )]
    CustomJobClass,
    /// A warning: the first key is ignored beside the second.
    #[error("`{0}` is ignored because `{1}` is given, as in resque-scheduler")]
    Beside(&'static str, &'static str),
    /// A warning: a `cron` or `every` that says nothing.
    #[error("`{0}` is empty and ignored, as in resque-scheduler")]
    NoTiming(String),
    /// A warning: more values of a `cron` or `every` than one, and no options.
    #[error("`{0}` is a list: only its first value counts, as in resque-scheduler")]
    FirstCounts(&'static str),
    /// A warning: a number of fires below 1.
    #[error("`times` is {0}: this entry never fires, as in resque-scheduler")]
    NoTimes(String),
    /// A warning: a description that is a list or a table.
    #[error("`description` is ignored: it is not text")]
    Description,
    /// A warning: a description that Ruby reads as a time.
    #[error("`description` is a date or a time and is read as text")]
    TimeAsText,
    /// A warning: an error in an entry that is for another environment, at which the gem does not look.
    #[error("{0}; the entry is for another environment")]
    Elsewhere(Box<Mistake>),
    /// A warning: an entry of a file that is to outlive it.
    #[error("`persist` is ignored: an entry lasts as long as it is in the file or in Redis")]
    Persist,
    /// A warning: a key that is given twice in a table.
    #[error("`{0}` is given twice")]
    GivenTwice(String),
    /// A warning: days of some weeks that are others in older apps, with what those are called here.
    #[error("apps with et-orbi before 1.4.0 fire `{0}` in other weeks, as `{1}` does here")]
    OtherWeeks(String, String),
    /// A warning: nothing beside a comma of a cron expression.
    #[error("an empty item in the list is ignored")]
    EmptyItem,
    /// A warning: an entry without a timing.
    #[error("entry `{0}` never fires on its own")]
    NeverFires(String),
    /// A number that JSON doesn't have, or that TOML can't hold.
    #[error("`{0}` cannot be an argument")]
    BadNumber(String),
}

/// No duration of a schedule is longer.
pub(in crate::config) const LONGEST_YEARS: i64 = 100;

impl Mistake {
    /// Whether the schedule is used all the same.
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

    /// Returns the key that an ignored one may be a slip of.
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

    /// Whether the warning is about something that may be right, and that the file cannot say: it is not for
    /// `check --strict`.
    pub fn is_advice(&self) -> bool {
        matches!(self, Self::OtherWeeks(..) | Self::Elsewhere(_))
    }
}

//! Mistakes in schedule files, shown where they were made.
//!
//! All that a user reads about a schedule file is worded here, but for what `core` says about an
//! expression, a zone or a duration.

use std::{collections::BTreeSet, fmt, ops::Range, path::PathBuf, sync::Arc};

use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

use crate::core::{
    cron::CronError, duration::DurationError, every::EveryError, suggestion::nearest,
    zone::ZoneError,
};

/// A schedule file: its text, and the path that messages give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub text: Arc<str>,
}

/// What a schedule file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// Ours.
    Toml,
    /// resque-scheduler's.
    Yaml,
}

impl Source {
    /// A file with this text.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> Self {
        let (path, text) = (path.into(), text.into());
        Self { path, text }
    }

    /// The number of the line in which `span` begins, from 1; and the whole lines that it is in.
    fn lines(&self, span: &Range<usize>) -> (usize, Range<usize>) {
        let bytes = self.text.as_bytes();
        let is_break = |byte: &u8| *byte == b'\n';
        let start = span.start.min(bytes.len());
        let breaks = bytes[..start].iter().filter(|byte| is_break(byte)).count();
        let begin = bytes[..start].iter().rposition(is_break);
        let end = span.end.clamp(start, bytes.len());
        let rest = bytes[end..].iter().position(is_break);
        let end = rest.map_or(bytes.len(), |length| end + length);
        (breaks + 1, begin.map_or(0, |at| at + 1)..end)
    }

    /// YAML where the path ends in `.yml` or `.yaml`, else TOML.
    pub fn syntax(&self) -> Syntax {
        let ending = self.path.extension();
        if ending.is_some_and(|it| it == "yml" || it == "yaml") {
            Syntax::Yaml
        } else {
            Syntax::Toml
        }
    }
}

/// What is wrong with a schedule. Displayed, it is the message without the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// Nothing at this path.
    #[error("no such file or directory")]
    Missing,
    /// The system refuses to read it, in the system's words.
    #[error("can't be read: {0}")]
    Unreadable(String),
    /// A directory without schedule files.
    #[error("no `*.toml`, `*.yml` or `*.yaml` in this directory")]
    NoFiles,
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
    #[error("`{0}` means nothing without {1}")]
    Alone(&'static str, &'static str),
    /// A priority that is none.
    #[error("a priority is a whole number")]
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
    #[error("`max_queue_length` is a whole number, at least 1")]
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
    #[error("a duration is from 0 seconds to {LONGEST_YEARS} years")]
    DurationRange,
    /// Neither a duration nor a time.
    #[error("`{0}` is neither a duration nor a time")]
    Moment(String),
    /// No time.
    #[error("`{0}` is not a time")]
    Instant(String),
    /// A span in which nothing fires.
    #[error("no fire lies between `starts_at` and `ends_at`")]
    NoSpan,
    /// An end before the beginning.
    #[error("the last fire is not after the first one")]
    LastBeforeFirst,
    /// A delay that would not leave the fires apart.
    #[error("the jitter is not shorter than the interval")]
    Jitter,
    /// A number of fires that is none.
    #[error("`times` is a whole number, at least 1")]
    Times,
    /// An interval that can't be kept.
    #[error(transparent)]
    Every(EveryError),
    /// Not JSON, in the parser's words.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// A template's tag in YAML.
    #[error("ERB is not evaluated, and resque-scheduler doesn't do it either")]
    Erb,
    /// A date or time in YAML, which Ruby doesn't load.
    #[error("`{0}` is a time, which JSON doesn't have")]
    RubyTime(String),
    /// A letter that Ruby's YAML takes for the end of a line.
    #[error("there is a line break of Unicode in this text")]
    LineBreak,
    /// More than one document in a file.
    #[error("a second document begins here")]
    SecondDocument,
    /// One name for two entries of a YAML file.
    #[error("entry `{0}` is given twice")]
    EntryTwice(String),
    /// A tag of YAML that stands for what JSON doesn't have.
    #[error("the tag `{0}` is not understood")]
    Tag(String),
    /// An alias within what it stands for.
    #[error("this alias is within what it stands for")]
    HoldsItself,
    /// Aliases of aliases.
    #[error("the aliases up to here stand for too many values")]
    TooManyAliases,
    /// Deeper than Ruby's JSON reads.
    #[error("nested too deep")]
    TooDeep,
    /// A warning: a key that the gem doesn't look at, and those that it does.
    #[error("`{0}` is ignored, as resque-scheduler ignores it")]
    Ignored(String, Vec<&'static str>),
    /// A warning: the first key is ignored beside the second.
    #[error("`{0}` is ignored beside `{1}`, as resque-scheduler ignores it")]
    Beside(&'static str, &'static str),
    /// A warning: an entry of a file that is to outlive it.
    #[error("`persist` is ignored: an entry of a file is there as long as the file has it")]
    Persist,
    /// A warning: a key that is given twice in a table.
    #[error("`{0}` is given twice")]
    GivenTwice(String),
    /// A warning: an entry without a timing.
    #[error("entry `{0}` never fires by itself")]
    NeverFires(String),
    /// A number that JSON doesn't have, or that TOML can't hold.
    #[error("`{0}` can't be an argument")]
    BadNumber(String),
}

/// The values of `catch_up`.
pub(super) const POLICIES: [&str; 3] = ["latest", "all", "none"];

/// The values of `overlap`.
const OVERLAPS: [&str; 3] = ["allow", "skip_if_queued", "skip_if_running"];

/// No duration of a schedule is longer.
pub(super) const LONGEST_YEARS: i64 = 100;

impl Mistake {
    /// Whether the schedule is used all the same.
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::Ignored(..)
                | Self::Beside(..)
                | Self::Persist
                | Self::GivenTwice(_)
                | Self::NeverFires(_)
        )
    }

    /// How to mend it; printed as a `help:` line.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Missing => {
                "check the path; of a directory, every `*.toml`, `*.yml` and `*.yaml` in it is read"
            }
            Self::Unreadable(_) => "the user that the scheduler works as must be able to read it",
            Self::NoFiles => "put a schedule file into it, or name the file itself",
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
                "put a value that begins with `*`, such as a cron expression, into quotes"
            }
            Self::LineBreak => "take it out, or put the text into quotes",
            Self::RubyTime(_) => "put it into quotes, as text",
            Self::SecondDocument => "Ruby reads the first one alone: take the others out",
            Self::EntryTwice(_) => {
                "rename one of them, or take it out: the last one would replace it"
            }
            Self::GivenTwice(_) => "keep the last one, which counts",
            Self::Tag(_) => "take it out, or write the value that it stands for",
            Self::Ignored(key, known) => {
                if let Some(other) = nearest(key, known.iter().copied()) {
                    return Some(format!("did you mean `{other}`?"));
                }
                "take it out; keys that only this scheduler has stand below `rescue_scheduler`"
            }
            Self::NeverFires(_) => {
                "give it a `cron` or an `every`; `never` says that it is meant so"
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
            Self::Syntax(_)
            | Self::HoldsItself
            | Self::TooManyAliases
            | Self::TooDeep
            | Self::WrongType(..)
            | Self::DurationRange
            | Self::NoSpan
            | Self::LastBeforeFirst
            | Self::Jitter
            | Self::Times
            | Self::Every(_)
            | Self::NotJson(_) => return None,
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

/// A part of a schedule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub source: Source,
    /// Bytes of its text; none: the file as a whole.
    pub span: Option<Range<usize>>,
}

/// The file and the line, `a.toml:3`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.path.display().fmt(f)?;
        let line = self.span.as_ref().map(|span| self.source.lines(span).0);
        line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// A mistake, and where it was made. Displayed, it shows the lines with carets under the mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub mistake: Mistake,
    /// Where; several only if it takes several to make the mistake.
    pub places: Vec<Place>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.mistake.is_warning() {
            Level::WARNING
        } else {
            Level::ERROR
        };
        let title = level.primary_title(self.mistake.to_string());
        let mut error = Group::with_title(title);
        for Place { source, span } in &self.places {
            let path = source.path.display().to_string();
            error = if let Some(span) = span {
                let (line, lines) = source.lines(span);
                let text = source.text.get(lines.clone()).unwrap_or_default();
                let span = span.start - lines.start..span.end - lines.start;
                let caret = AnnotationKind::Primary.span(span);
                let snippet = Snippet::source(text).path(path).line_start(line);
                error.element(snippet.annotation(caret))
            } else {
                error.element(Origin::path(path))
            };
        }
        let mut groups = vec![error];
        if let Some(help) = self.mistake.help() {
            let help = Level::HELP.secondary_title(normalize_untrusted_str(&help));
            groups.push(Group::with_title(help));
        }
        f.write_str(&Renderer::plain().render(&groups))
    }
}

/// All mistakes of a schedule, at least one. Displayed, it is the whole message to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub(super) fn new(diagnostics: Vec<Diagnostic>) -> Self {
        debug_assert!(!diagnostics.is_empty());
        Self { diagnostics }
    }

    /// The mistakes, and warnings beside them: first the files that can't be read, then file by file from top to bottom, then
    /// those between files.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.diagnostics {
            write!(f, "{diagnostic}\n\n")?;
        }
        let mistakes = self
            .diagnostics
            .iter()
            .filter(|found| !found.mistake.is_warning());
        let places = mistakes.clone().flat_map(|diagnostic| &diagnostic.places);
        let paths: BTreeSet<_> = places.map(|place| &place.source.path).collect();
        let plural = |count| if count == 1 { "" } else { "s" };
        let (mistakes, files) = (mistakes.count(), paths.len());
        write!(
            f,
            "{mistakes} mistake{} in {files} file{}; nothing of this schedule is used",
            plural(mistakes),
            plural(files)
        )
    }
}

impl std::error::Error for Report {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_an_error_of_core_stands_below_it() {
        let text = "[schedule.a]\ncron = \"61 * * * *\"\n";
        let cron = CronError {
            span: 0..2,
            problem: "`61` is no minute".into(),
            help: Some("minutes are 0 to 59".into()),
        };
        let source = Source::new("schedules/a.toml", text);
        let diagnostic = Diagnostic {
            mistake: Mistake::Cron(cron),
            places: vec![Place {
                source,
                span: Some(21..23),
            }],
        };
        insta::assert_snapshot!(diagnostic, @r#"
        error: `61` is no minute
         --> schedules/a.toml:2:9
          |
        2 | cron = "61 * * * *"
          |         ^^
          |
        help: minutes are 0 to 59
        "#);
    }
}

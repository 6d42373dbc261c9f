//! What a schedule file means. Goes on after each mistake, to find them all.

use std::borrow::Cow;

use toml::Spanned;

use super::{
    Context, active_job,
    diagnostic::{Diagnostic, Mistake, Place, Source, Syntax},
    from_toml, from_yaml, gem,
    guard::guard,
    raw::Table,
    timing::{timing, zone},
    tree::Members,
};
use crate::core::{
    active_job::{ActiveJob, LOCALE},
    entry::{CatchUp, CatchUpPolicy, Entry},
    guard::Guard,
    job::Job,
    schedule::{LeftOut, Why},
    zone::Zone,
};

/// What a file holds.
#[derive(Default)]
pub(super) struct Contents {
    /// Every name of an entry, and where it stands.
    pub(super) names: Vec<(String, Place)>,
    /// The entries that are loaded.
    pub(super) entries: Vec<Entry>,
    /// Those that are not.
    pub(super) left_out: Vec<LeftOut>,
    /// All mistakes, from top to bottom.
    pub(super) mistakes: Vec<Diagnostic>,
}

impl Contents {
    pub(super) fn name(&mut self, name: &Spanned<Cow<'_, str>>, source: &Source) {
        let place = Place {
            source: source.clone(),
            span: Some(name.span()),
        };
        self.names.push((name.get_ref().to_string(), place));
    }

    pub(super) fn entry(&mut self, entry: Option<Result<Entry, LeftOut>>) {
        match entry {
            Some(Ok(entry)) => self.entries.push(entry),
            Some(Err(left_out)) => self.left_out.push(left_out),
            None => {}
        }
    }
}

/// Reads one file. After a syntax error it doesn't look further: what could be read of such a file
/// is a guess, and mistakes in it may be none.
pub(super) fn contents(source: &Source, context: &Context) -> Contents {
    let mut contents = Contents::default();
    match source.syntax() {
        Syntax::Toml => match from_toml::parse(source) {
            Ok(root) => root_table(&mut contents, &root, source, context),
            Err(errors) => contents.mistakes = errors,
        },
        Syntax::Yaml => match from_yaml::parse(source) {
            Ok(document) => gem::entries(&mut contents, document, source, context),
            Err(error) => contents.mistakes.push(error),
        },
    }
    contents.mistakes.sort_by_key(start);
    contents
}

fn start(diagnostic: &Diagnostic) -> Option<usize> {
    let place = diagnostic.places.first()?;
    Some(place.span.as_ref()?.start)
}

fn root_table(contents: &mut Contents, root: &Members<'_>, source: &Source, context: &Context) {
    let nothing = Members::new();
    let mut root = Table::new(root, source);

    let mut table = Table::new(root.table("defaults").unwrap_or(&nothing), source);
    let defaults = Defaults::read(&mut table, context);
    contents.mistakes.extend(table.finish());

    for (name, value) in root.table("schedule").unwrap_or(&nothing) {
        contents.name(name, source);
        let fields = root.keep(value.span(), value.get_ref().as_table());
        let mut table = Table::new(fields.unwrap_or(&nothing), source);
        if fields.is_some() {
            contents.entry(entry(name, &mut table, &defaults, context));
        }
        contents.mistakes.extend(table.finish());
    }
    contents.mistakes.extend(root.finish());
}

/// What holds for the entries of a file that don't say otherwise.
pub(super) struct Defaults<'t> {
    zone: Zone,
    queue: Option<&'t str>,
    include_metadata: bool,
    catch_up: CatchUp,
    guard: Guard,
    active_job: active_job::Settings<'t>,
}

impl<'t> Defaults<'t> {
    pub(super) fn read(table: &mut Table<'t>, context: &Context) -> Self {
        Self {
            zone: zone(table).unwrap_or(context.zone),
            queue: queue(table),
            include_metadata: table.flag("include_metadata").unwrap_or(false),
            catch_up: catch_up(table, CatchUp::default()),
            guard: guard(table, Guard::default()),
            active_job: active_job::Settings::read(table, &active_job::Settings::default()),
        }
    }
}

/// The entry, if it is to be loaded; `None`: it has mistakes. All of it is looked at in any case.
pub(super) fn entry<'t>(
    name: &Spanned<Cow<'_, str>>,
    table: &mut Table<'t>,
    defaults: &Defaults<'t>,
    context: &Context,
) -> Option<Result<Entry, LeftOut>> {
    if name.get_ref().is_empty() {
        table.report(name.span(), Mistake::Empty("the name of an entry"));
    }
    let timing = timing(name.get_ref(), table, defaults.zone);
    let job = job(name, table, defaults);
    let catch_up = catch_up(table, defaults.catch_up);
    let guard = guard(table, defaults.guard);
    let description = table.text("description");
    let here = is_for(context.environment.as_deref(), table);
    let enabled = table.flag("enabled").unwrap_or(true);
    let entry = Entry {
        name: name.get_ref().to_string(),
        timing: timing?,
        job: job?,
        catch_up,
        guard,
        description: description.map(|text| text.into_inner().to_owned()),
    };
    Some(match (here, enabled) {
        (true, true) => Ok(entry),
        (here, _) => Err(LeftOut {
            name: entry.name,
            why: if here {
                Why::Disabled
            } else {
                Why::Environment
            },
        }),
    })
}

fn job<'t>(
    name: &Spanned<Cow<'_, str>>,
    table: &mut Table<'t>,
    defaults: &Defaults<'t>,
) -> Option<Job> {
    let class = table.filled("class", "the class").unwrap_or(name.get_ref());
    let queue = queue(table).or(defaults.queue);
    let settings = active_job::Settings::read(table, &defaults.active_job);
    let arguments = settings.arguments(table);
    let include_metadata = table
        .flag("include_metadata")
        .unwrap_or(defaults.include_metadata);
    let missing = || Mistake::NoQueue(name.get_ref().to_string());
    let queue = table.keep(name.span(), queue.ok_or_else(missing))?;
    let (class, queue) = (class.to_owned(), queue.to_owned());
    if !settings.active_job {
        return Some(Job::new(class, queue, &arguments, include_metadata));
    }
    let job = ActiveJob {
        entry: name.get_ref().to_string(),
        class,
        queue,
        arguments,
        locale: settings.locale.unwrap_or(LOCALE).to_owned(),
        timezone: settings.timezone.map(str::to_owned),
        priority: settings.priority,
        include_metadata,
    };
    Some(job.into())
}

/// The queue, if one is given. A mistaken one is given too: it makes no second mistake.
fn queue<'t>(table: &mut Table<'t>) -> Option<&'t str> {
    let queue = table.filled("queue", "the queue");
    queue.or(table.has("queue").then_some(""))
}

fn catch_up(table: &mut Table<'_>, default: CatchUp) -> CatchUp {
    let policy = table.text("catch_up").and_then(|text| {
        let policy = match *text.get_ref() {
            "latest" => Ok(CatchUpPolicy::Latest),
            "all" => Ok(CatchUpPolicy::All),
            "none" => Ok(CatchUpPolicy::None),
            other => Err(Mistake::UnknownPolicy(other.to_owned())),
        };
        table.keep(text.span(), policy)
    });
    let window = table.duration("catch_up_window");
    CatchUp {
        policy: policy.unwrap_or(default.policy),
        window: window.map_or(default.window, Spanned::into_inner),
    }
}

/// Whether the entry is for this environment; as in resque-scheduler, one that names none is for
/// all, and one that names some needs one to be set. Names are parted by commas or white space.
fn is_for(environment: Option<&str>, table: &mut Table<'_>) -> bool {
    table.not_both("env", "rails_env");
    let (env, rails_env) = (table.texts("env"), table.texts("rails_env"));
    let Some(texts) = env.or(rails_env) else {
        return true;
    };
    let parting = |letter: char| letter == ',' || letter.is_whitespace();
    let names = texts.get_ref().iter().flat_map(|text| text.split(parting));
    let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        table.report(texts.span(), Mistake::NoEnvironment);
    }
    environment.is_some_and(|environment| names.contains(&environment))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::core::{
        every::{Every, EveryError},
        timing::{Moment, Pattern, Timing},
    };

    fn read(text: &str, environment: Option<&str>) -> Contents {
        let source = Source {
            path: "a.toml".into(),
            text: text.into(),
        };
        let context = Context {
            environment: environment.map(str::to_owned),
            zone: Zone::UTC,
        };
        contents(&source, &context)
    }

    /// The text of a file with an entry `a` that has a queue and these lines.
    fn with(lines: &str) -> String {
        format!("[schedule.a]\nqueue = 'q'\n{lines}\n")
    }

    /// The entry `a` with these lines.
    #[track_caller]
    fn entry(lines: &str) -> Entry {
        let mut contents = read(&with(lines), None);
        assert_eq!(contents.mistakes, []);
        contents.entries.pop().unwrap()
    }

    /// Asserts that a file has these mistakes and no others, each about this text in the file.
    #[track_caller]
    fn refused(text: &str, expected: &[(Mistake, &str)]) {
        let mistakes = read(text, None).mistakes.into_iter().map(|found| {
            let span = found.places[0].span.clone().unwrap();
            (found.mistake, &text[span])
        });
        assert_eq!(mistakes.collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn an_entry_that_says_little_takes_the_rest_from_its_name() {
        let expected = Entry {
            name: "a".into(),
            timing: Timing::of(Pattern::Manual),
            job: Job::new("a".into(), "q".into(), "[]", false),
            catch_up: CatchUp::default(),
            guard: Guard::default(),
            description: None,
        };
        assert_eq!(entry(""), expected);
    }

    #[test]
    fn an_entry_that_says_all_is_taken_at_its_word() {
        let every = Every::new(TimeDelta::seconds(90)).unwrap();
        let mut timing = Timing::of(Pattern::Every(every));
        timing.first = Some(Moment::In(TimeDelta::zero()));
        let expected = Entry {
            name: "a".into(),
            timing,
            job: Job::new("A::B".into(), "q".into(), "[1]", true),
            catch_up: CatchUp {
                policy: CatchUpPolicy::All,
                window: TimeDelta::hours(1),
            },
            guard: Guard::default(),
            description: Some(String::new()),
        };
        let lines = "every = '90s'\nfirst_in = 0\nclass = 'A::B'\nargs = 1\n\
            include_metadata = true\ncatch_up = 'all'\ncatch_up_window = 3600\n\
            description = ''\nenabled = true";
        assert_eq!(entry(lines), expected);
    }

    #[test]
    fn defaults_hold_where_the_entry_says_nothing() {
        let text = "[defaults]\nqueue = 'd'\ninclude_metadata = true\ncatch_up = 'none'\n\
            catch_up_window = '2m'\n[schedule]\na = {}\n\
            b = { queue = 'q', include_metadata = false, catch_up = 'latest' }";
        let contents = read(text, None);
        assert_eq!(contents.mistakes, []);
        let [a, b] = &contents.entries[..] else {
            panic!("{:?}", contents.entries);
        };
        let window = TimeDelta::minutes(2);
        let catch_up = |policy| CatchUp { policy, window };
        assert_eq!(a.job, Job::new("a".into(), "d".into(), "[]", true));
        assert_eq!(a.catch_up, catch_up(CatchUpPolicy::None));
        assert_eq!(b.job, Job::new("b".into(), "q".into(), "[]", false));
        assert_eq!(b.catch_up, catch_up(CatchUpPolicy::Latest));
    }

    #[test]
    fn the_nearest_zone_is_in_force() {
        #[track_caller]
        fn case(defaults: &str, lines: &str, zone: &str) {
            let contents = read(&format!("{defaults}\n{}", with(lines)), None);
            let Pattern::Cron { zone: found, .. } = contents.entries[0].timing.pattern else {
                panic!("{:?}", contents.entries);
            };
            assert_eq!(found, zone.parse().unwrap());
        }
        let tokyo = "defaults.timezone = 'Asia/Tokyo'";
        let daily = "cron = '0 0 * * *'";
        let in_paris = "timezone = 'Europe/Paris'\ncron = '0 0 * * *'";
        let in_lima = "timezone = 'Europe/Paris'\ncron = '0 0 * * * America/Lima'";
        case("", daily, "UTC");
        case(tokyo, daily, "Asia/Tokyo");
        case(tokyo, in_paris, "Europe/Paris");
        case(tokyo, in_lima, "America/Lima");
    }

    #[test]
    fn an_entry_is_loaded_where_it_is_meant_to_be() {
        let loaded = |line: &str, environment| {
            let contents = read(&with(line), environment);
            assert_eq!(contents.mistakes, []);
            assert_eq!(contents.names.len(), 1);
            contents.entries.len() == 1
        };
        assert!(loaded("", None));
        assert!(loaded("", Some("production")));
        for line in [
            "env = 'production'",
            "rails_env = ' staging , production '",
            "env = 'staging production'",
            "env = ['staging', 'production']",
        ] {
            assert!(loaded(line, Some("production")), "{line}");
            for elsewhere in [None, Some("test"), Some("")] {
                assert!(!loaded(line, elsewhere), "{line}");
            }
        }
        assert!(!loaded("enabled = false", None));
    }

    #[test]
    fn an_entry_that_is_not_loaded_is_checked_all_the_same() {
        for why in ["enabled = false", "env = 'elsewhere'"] {
            let mistake = Mistake::UnknownPolicy("x".into());
            refused(
                &with(&format!("{why}\ncatch_up = 'x'")),
                &[(mistake, "'x'")],
            );
        }
    }

    #[test]
    fn a_wrong_type_makes_one_mistake_and_no_other() {
        let wrong = |expected, found| Mistake::WrongType(expected, found);
        let text = |found| wrong("a string", found);
        let table = |found| wrong("a table", found);
        refused("[schedule.a]\nqueue = 1", &[(text("an integer"), "1")]);
        refused(
            "defaults.queue = 1.5\nschedule.a = {}",
            &[(text("a float"), "1.5")],
        );
        refused(&with("cron = true"), &[(text("a boolean"), "true")]);
        refused(&with("class = []"), &[(text("an array"), "[]")]);
        refused(
            &with("cron = '* * * * *'\ntimezone = {}"),
            &[(text("a table"), "{}")],
        );
        let both = [(text("an integer"), "1"), (text("a date-time"), "09:00")];
        refused(&with("env = [1, 'b', 09:00]"), &both);
        refused(
            &with("enabled = 'yes'"),
            &[(wrong("a boolean", "a string"), "'yes'")],
        );
        let duration = wrong("a duration (text or whole seconds)", "a float");
        refused(&with("every = 1.5\nfirst_in = 1"), &[(duration, "1.5")]);
        refused("schedule = 1", &[(table("an integer"), "1")]);
        refused("schedule.a = 'x'", &[(table("a string"), "'x'")]);
        refused("[[schedule.a]]", &[(table("an array"), "[[schedule.a]]")]);
    }

    #[test]
    fn keys_that_contradict_or_miss_each_other_are_refused() {
        let both = |first, second| [(Mistake::Both(first, second), second)];
        refused(
            &with("every = 1\ncron = '* * * * *'"),
            &both("cron", "every"),
        );
        refused(
            &with("rails_env = 'a'\nenv = 'b'"),
            &both("env", "rails_env"),
        );
        let alone = |key, other| [(Mistake::Alone(key, other), key)];
        refused(
            &with("first_in = 1"),
            &alone("first_in", "`cron` or `every`"),
        );
        refused(
            &with("every = 1\ntimezone = 'UTC'"),
            &alone("timezone", "`cron` or a time"),
        );
    }

    #[test]
    fn what_is_empty_or_absent_is_refused() {
        let empty = |what| [(Mistake::Empty(what), "''")];
        refused(&with("class = ''"), &empty("the class"));
        refused("schedule.a.queue = ''", &empty("the queue"));
        refused(
            "schedule.'' = { queue = 'q' }",
            &empty("the name of an entry"),
        );
        refused("[schedule.a]", &[(Mistake::NoQueue("a".into()), "a")]);
        refused(&with("env = ' , '"), &[(Mistake::NoEnvironment, "' , '")]);
        refused(&with("env = []"), &[(Mistake::NoEnvironment, "[]")]);
    }

    #[test]
    fn a_duration_has_bounds() {
        let every = || Mistake::Every(EveryError);
        refused(&with("every = 0"), &[(every(), "0")]);
        refused(&with("every = '1.5s'"), &[(every(), "'1.5s'")]);
        for length in [
            "-1",
            "4000000000",
            "9223372036854775807",
            "9223372036854775808",
        ] {
            let lines = with(&format!("catch_up_window = {length}"));
            refused(&lines, &[(Mistake::DurationRange, length)]);
        }
        let longest = entry("every = 3155760000\ncatch_up_window = 3155760000");
        let now = DateTime::from_timestamp(4_000_000_000, 0).unwrap();
        assert!(
            longest
                .timing
                .pattern
                .next_after(now, now - longest.catch_up.window)
                .is_some()
        );
    }

    #[test]
    fn carets_stand_under_the_field_that_is_wrong() {
        #[track_caller]
        fn case(literal: &str, blamed: &str) {
            let text = with(&format!("cron = {literal}"));
            let mistakes = read(&text, None).mistakes;
            let [mistake] = &mistakes[..] else {
                panic!("{mistakes:?}");
            };
            let span = mistake.places[0].span.clone().unwrap();
            assert_eq!(&text[span], blamed, "{mistake}");
        }
        case(r#""*/5 * zzz * *""#, "zzz");
        case("'*/5 * zzz * *'", "zzz");
        case(r#""""*/5 * zzz * *""""#, "zzz");
        case("'''\n*/5 * zzz * *'''", "zzz");
        // Written with escapes, it is the text as a whole.
        case(r#""\u002a * zzz * *""#, r#""\u002a * zzz * *""#);
    }
}

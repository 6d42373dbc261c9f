//! What a schedule file means. Goes on after each mistake, to find them all.

use std::{borrow::Cow, sync::Arc};

use toml::Spanned;

use crate::{
    config::{
        Context, active_job,
        diagnostic::{Diagnostic, Mistake, Place, Source, Syntax},
        from_toml::{self, Document},
        from_yaml, gem,
        guard::guard,
        raw::{Table, diagnostic},
        timing::{timing, zone},
        tree::Members,
    },
    core::{
        job::{
            Job,
            active_job::{ActiveJob, LOCALE},
        },
        schedule::{
            LeftOut, Why,
            entry::{CatchUp, CatchUpPolicy, Entry},
            overlap::Guard,
        },
        time::zone::Zone,
    },
};

/// What a file holds.
#[derive(Default)]
pub(super) struct Contents {
    /// There is no other file, in which a name could stand again.
    alone: bool,
    /// Every name of an entry, and where it stands; of one that is alone they are not wanted, and of many
    /// entries they are much.
    pub(super) names: Vec<(String, Place)>,
    /// The entries that are loaded.
    pub(super) entries: Vec<Arc<Entry>>,
    /// Those that are not.
    pub(super) left_out: Vec<LeftOut>,
    /// All mistakes, from top to bottom.
    pub(super) mistakes: Vec<Diagnostic>,
}

impl Contents {
    pub(super) fn name(&mut self, name: &Spanned<Cow<'_, str>>, source: &Source) {
        if self.alone {
            return;
        }
        let place = Place {
            source: source.clone(),
            span: Some(name.span()),
        };
        self.names.push((name.get_ref().to_string(), place));
    }

    pub(super) fn entry(&mut self, entry: Option<Result<Entry, LeftOut>>) {
        match entry {
            Some(Ok(entry)) => self.entries.push(Arc::new(entry)),
            Some(Err(left_out)) => self.left_out.push(left_out),
            None => {}
        }
    }
}

/// Reads one file. After a syntax error it doesn't look further: what could be read of such a file
/// is a guess, and mistakes in it may be none.
///
/// `alone`: there is no other file.
pub(super) fn contents(source: &Source, alone: bool, context: &Context) -> Contents {
    let mut contents = Contents {
        alone,
        ..Contents::default()
    };
    match source.syntax() {
        Syntax::Toml => match from_toml::parse(source) {
            Ok(document) => of_toml(&mut contents, document, source, context),
            Err(errors) => contents.mistakes = errors,
        },
        Syntax::Yaml => match from_yaml::parse(source) {
            Ok(document) => gem::entries(&mut contents, document, source, context),
            Err(error) => contents.mistakes.push(error),
        },
    }
    let read = contents.mistakes.iter().all(|it| it.mistake.is_warning());
    if read && contents.entries.is_empty() && contents.left_out.is_empty() {
        contents
            .mistakes
            .push(diagnostic(source, None, Mistake::NoEntries));
    }
    contents.mistakes.sort_by_key(start);
    contents
}

fn start(diagnostic: &Diagnostic) -> Option<usize> {
    let place = diagnostic.places.first()?;
    Some(place.span.as_ref()?.start)
}

fn of_toml(
    contents: &mut Contents,
    Document { root, schedule }: Document<'_>,
    source: &Source,
    context: &Context,
) {
    let nothing = Members::new();
    let mut root = Table::new(&root, source);

    let mut table = Table::new(root.table("defaults").unwrap_or(&nothing), source);
    let defaults = Defaults::read(&mut table, context);
    contents.mistakes.extend(table.finish());

    // That it is a table, if it is there.
    root.table("schedule");
    for (name, value) in schedule.into_iter().map(from_toml::member) {
        contents.name(&name, source);
        match value.get_ref().as_table() {
            Ok(fields) => {
                let mut table = Table::new(fields, source);
                contents.entry(entry(&name, &mut table, &defaults, context));
                contents.mistakes.extend(table.finish());
            }
            Err(mistake) => contents
                .mistakes
                .push(diagnostic(source, Some(value.span()), mistake)),
        }
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
    let (timing, zone) = timing?;
    let entry = Entry {
        name: name.get_ref().to_string(),
        timing,
        zone,
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
    if !settings.active_job {
        return Some(Job::new(class, queue, &arguments, include_metadata));
    }
    let job = ActiveJob {
        entry: name.get_ref().to_string(),
        class: class.to_owned(),
        queue: queue.to_owned(),
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
/// all, and one that names some needs one to be set.
fn is_for(environment: Option<&str>, table: &mut Table<'_>) -> bool {
    table.not_both("env", "rails_env");
    let (env, rails_env) = (table.texts("env"), table.texts("rails_env"));
    let Some(texts) = env.or(rails_env) else {
        return true;
    };
    let names = texts.get_ref().iter().flat_map(|text| environments(text));
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        table.report(texts.span(), Mistake::NoEnvironment);
    }
    environment.is_some_and(|environment| names.contains(&environment))
}

/// Returns the environments that a text names, parted by commas or white space.
pub(super) fn environments(text: &str) -> impl Iterator<Item = &str> {
    let names = text.split(|letter: char| letter == ',' || letter.is_whitespace());
    names.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;

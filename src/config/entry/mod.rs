//! Turns the values of an entry and the defaults of its file into an [`Entry`].
//!
//! Continues after an error, so that all errors of an entry are found.

pub(super) mod active_job;
pub(super) mod args;
pub(super) mod contents;
pub(super) mod overlap;
pub(super) mod timing;

use std::borrow::Cow;

use crate::{
    config::{
        context::Context,
        entry::{
            active_job::Settings,
            overlap::guard,
            timing::{timing, zone},
        },
        read::{table::Table, value::Located},
        report::mistake::Mistake,
    },
    core::{
        job::{
            Job,
            active_job::{ActiveJob, LOCALE},
        },
        schedule::{
            LeftOut, LeftOutReason,
            entry::{CatchUp, CatchUpPolicy, Entry, Origin},
            overlap::Guard,
        },
        time::zone::Zone,
    },
};

/// The defaults for the entries of a file.
pub(in crate::config) struct Defaults<'t> {
    zone: Zone,
    queue: Option<&'t str>,
    include_metadata: bool,
    catch_up: CatchUp,
    guard: Guard,
    active_job: Settings<'t>,
}

impl<'t> Defaults<'t> {
    pub(in crate::config) fn read(table: &mut Table<'t>, context: &Context) -> Self {
        Self {
            zone: zone(table).unwrap_or(context.zone),
            queue: queue(table),
            include_metadata: table.flag("include_metadata").unwrap_or(false),
            catch_up: catch_up(table, CatchUp::default()),
            guard: guard(table, Guard::default()),
            active_job: Settings::read(table, &Settings::default()),
        }
    }
}

/// Reads an entry. Returns it, or that it is left out; `None` if it has errors.
///
/// Checks all of the entry in every case.
pub(in crate::config) fn entry<'t>(
    name: &Located<Cow<'_, str>>,
    origin: Origin,
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
        origin,
    };
    Some(match (here, enabled) {
        (true, true) => Ok(entry),
        (here, _) => Err(LeftOut {
            name: entry.name,
            reason: if here {
                LeftOutReason::Disabled
            } else {
                LeftOutReason::Environment
            },
        }),
    })
}

fn job<'t>(
    name: &Located<Cow<'_, str>>,
    table: &mut Table<'t>,
    defaults: &Defaults<'t>,
) -> Option<Job> {
    let class = table.filled("class", "the class").unwrap_or(name.get_ref());
    let queue = queue(table).or(defaults.queue);
    let settings = Settings::read(table, &defaults.active_job);
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

/// Returns the queue, if one is given.
///
/// An invalid queue is returned as an empty text, so that it is not reported as missing too.
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
        window: window.map_or(default.window, Located::into_inner),
    }
}

/// Whether the entry is for this environment.
///
/// As in resque-scheduler, an entry without environments is for all environments. An entry with environments is not
/// loaded if no environment is set.
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

/// Returns the environments in a text, which are separated by commas or white space.
pub(in crate::config) fn environments(text: &str) -> impl Iterator<Item = &str> {
    let names = text.split(|letter: char| letter == ',' || letter.is_whitespace());
    names.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;

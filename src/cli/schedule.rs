//! `rescue-scheduler schedule …`: lists, triggers, pauses and resumes the entries in force.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use crate::{
    cli::{
        args::operator::{ActorArguments, OperatorArguments},
        ask::ask,
        failure::Failure,
        render::{
            self,
            table::Table,
            times::{ago, until},
        },
    },
    clock::{Clock as _, SystemClock},
    config::settings,
    control::{
        entries::{self, EntryFilter, EntryStatus, LastFire, PauseStatus},
        pauses, trigger,
    },
    core::time::{phrase, zone::Zone},
};

/// List, show, trigger, pause and resume the entries in force
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the entries in force, with their last and next fires
    List {
        /// List entries of this queue only
        #[arg(long, value_name = "NAME")]
        queue: Option<String>,
        /// List paused entries only
        #[arg(long)]
        paused: bool,
        #[command(flatten)]
        operator: OperatorArguments,
    },
    /// Show one entry
    Show {
        /// Name of the entry
        name: String,
        #[command(flatten)]
        operator: OperatorArguments,
    },
    /// Enqueue the job of an entry now; its next fire does not change
    Trigger {
        /// Name of the entry
        name: String,
        #[command(flatten)]
        actor: ActorArguments,
        #[command(flatten)]
        operator: OperatorArguments,
    },
    /// Pause an entry, or all entries; fires that are due meanwhile are not caught up
    Pause {
        #[command(flatten)]
        target: Target,
        /// End of the pause, such as `in 2h` or RFC 3339; without it, the pause lasts until `resume`
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Time zone of the time that you type [default: UTC]
        #[arg(long, env = "TZ", value_name = "ZONE", value_parser = settings::zone)]
        timezone: Option<Zone>,
        #[command(flatten)]
        actor: ActorArguments,
        #[command(flatten)]
        operator: OperatorArguments,
    },
    /// End the pause of an entry, or that of all entries
    Resume {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        actor: ActorArguments,
        #[command(flatten)]
        operator: OperatorArguments,
    },
}

/// One entry, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// Name of the entry
    name: Option<String>,
    /// All entries
    #[arg(long)]
    all: bool,
}

pub(super) fn schedule(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let now = SystemClock.now();
    match &arguments.command {
        Command::List {
            queue,
            paused,
            operator,
        } => {
            let filter = EntryFilter {
                queue: queue.clone(),
                paused: *paused,
            };
            list(operator, &filter, now)
        }
        Command::Show { name, operator } => show(operator, name, now),
        Command::Trigger {
            name,
            actor,
            operator,
        } => {
            let done = ask(operator, async |console| {
                trigger::trigger(console, name, &actor.actor(), now).await
            })?;
            let text = format!("enqueued {} in queue {}\n", done.payload, done.queue);
            render::answer(operator.json, &done, &text)?;
            render::unrecorded(done.unrecorded.as_deref())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Pause {
            target,
            until,
            timezone,
            actor,
            operator,
        } => {
            let zone = timezone.unwrap_or(Zone::UTC);
            let until = until.as_deref().map(|text| phrase::parse(text, now, zone));
            let until = until.transpose()?;
            let done = ask(operator, async |console| {
                pauses::pause(console, target.name.as_deref(), until, &actor.actor(), now).await
            })?;
            let end = done.until.map_or_else(
                || {
                    format!(
                        "until `rescue-scheduler schedule resume {}`",
                        target.argument()
                    )
                },
                |at| format!("until {}", render::utc(at)),
            );
            let text = format!("paused {} {end}\n", target.words());
            render::answer(operator.json, &done, &text)?;
            render::unrecorded(done.unrecorded.as_deref())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Resume {
            target,
            actor,
            operator,
        } => {
            let done = ask(operator, async |console| {
                pauses::resume(console, target.name.as_deref(), &actor.actor(), now).await
            })?;
            let mut text = format!("resumed {}\n", target.words());
            if let Some(pause) = &done.still_paused {
                text = format!("{text}it is still {}, as all entries are\n", paused(pause));
            }
            if done.others_paused > 0 {
                let others = match done.others_paused {
                    1 => "1 entry has a pause of its own".to_owned(),
                    others => format!("{others} entries have a pause of their own"),
                };
                text = format!(
                    "{text}{others}: rescue-scheduler schedule list --paused
"
                );
            }
            render::answer(operator.json, &done, &text)?;
            render::unrecorded(done.unrecorded.as_deref())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl Target {
    fn words(&self) -> &str {
        self.name.as_deref().unwrap_or("all entries")
    }

    fn argument(&self) -> &str {
        self.name.as_deref().unwrap_or("--all")
    }
}

fn list(
    operator: &OperatorArguments,
    filter: &EntryFilter,
    now: DateTime<Utc>,
) -> Result<ExitCode, Failure> {
    let found = ask(operator, async |console| {
        entries::list(console, filter, now).await
    })?;
    let mut table = Table::new(["ENTRY", "TIMING", "QUEUE", "LAST", "NEXT"]);
    for entry in &found.entries {
        table.row([
            &entry.name,
            &entry.timing,
            &entry.queue,
            &last(entry.last.as_ref(), now),
            &next(entry, now),
        ]);
    }
    if operator.json || !table.is_empty() {
        render::answer(operator.json, &found, &table.to_string())?;
    }
    for problem in &found.problems {
        render::note(&format!("warning: {problem}"))?;
    }
    Ok(if found.entries.is_empty() {
        render::note("no entry is in force that matches")?;
        ExitCode::from(render::NOTHING)
    } else {
        ExitCode::SUCCESS
    })
}

fn show(operator: &OperatorArguments, name: &str, now: DateTime<Utc>) -> Result<ExitCode, Failure> {
    let entry = ask(operator, async |console| {
        entries::show(console, name, now).await
    })?;
    let mut table = Table::new([]);
    let mut row = |key: &str, value: &str| table.row([key, value]);
    row("entry", &entry.name);
    if let Some(description) = &entry.description {
        row("for", description);
    }
    row("timing", &entry.timing);
    row("timezone", &entry.timezone);
    row("class", &entry.class);
    row("queue", &entry.queue);
    row("source", &entry.source);
    row("last", &last(entry.last.as_ref(), now));
    row("next", &next(&entry, now));
    render::answer(operator.json, &entry, &table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Returns `enqueued 48 s ago`, or `caught up 17 m ago (17 m late)`.
fn last(last: Option<&LastFire>, now: DateTime<Utc>) -> String {
    let Some(last) = last else {
        return "-".to_owned();
    };
    let outcome = last.outcome.replace('_', " ");
    let late = last.lateness_s.filter(|it| *it >= 1.0);
    let late = late.map_or_else(String::new, |it| format!(" ({it:.0} s late)"));
    format!("{outcome} {}{late}", ago(last.fire_time, now))
}

/// Returns `in 12 s`, or `paused by ada@web-1`.
fn next(entry: &EntryStatus, now: DateTime<Utc>) -> String {
    match (&entry.paused, entry.next) {
        (Some(pause), _) => paused(pause),
        (None, Some(at)) => format!("{} {}", until(at, now), render::time(entry.zone.local(at))),
        (None, None) => "-".to_owned(),
    }
}

fn paused(pause: &PauseStatus) -> String {
    let mut words = "paused".to_owned();
    if let Some(actor) = &pause.actor {
        words = format!("{words} by {actor}");
    }
    if let Some(until) = pause.until {
        words = format!("{words} until {}", render::utc(until));
    }
    match &pause.reason {
        Some(reason) => format!("{words}: {reason}"),
        None => words,
    }
}

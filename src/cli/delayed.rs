//! `rescue-scheduler delayed …`: lists and changes delayed jobs.

use std::{
    convert::Infallible,
    future,
    io::{self, Write as _},
    process::ExitCode,
};

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{
        args::{
            filter::FilterArguments,
            operator::{ActorArguments, OperatorArguments},
        },
        ask::ask,
        confirm::confirm,
        failure::Failure,
        render::{self, table::Table},
    },
    clock::{Clock as _, SystemClock},
    control::delayed::{
        self, ChangeOptions, DelayedAction, DelayedChanged, DelayedFilter, DelayedStats, FoundJob,
    },
    core::time::duration,
    store::DelayedJob,
};

/// List, count, remove, run and reschedule delayed jobs
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List delayed jobs, the soonest first
    #[command(visible_alias = "find")]
    List {
        #[command(flatten)]
        filter: FilterArguments,
        /// Maximum number of jobs to list
        #[arg(long, value_name = "NUMBER")]
        limit: Option<usize>,
        /// Print one line of JSON for each job
        #[arg(long, conflicts_with = "json")]
        jsonl: bool,
        #[command(flatten)]
        operator: OperatorArguments,
    },
    /// Count delayed jobs
    Count {
        #[command(flatten)]
        filter: FilterArguments,
        #[command(flatten)]
        operator: OperatorArguments,
    },
    /// Show when delayed jobs are due, and how many there are of each class and queue
    Stats {
        #[command(flatten)]
        operator: OperatorArguments,
    },
    /// Remove delayed jobs
    Remove(Box<Change>),
    /// Enqueue delayed jobs now
    RunNow(Box<Change>),
    /// Move delayed jobs to another time
    Reschedule {
        /// Time at which the jobs are to be due
        #[arg(long, value_name = "TIME", required_unless_present = "by")]
        to: Option<String>,
        /// How much later the jobs are to be due; earlier with a `-` in front
        #[arg(
            long,
            value_name = "DURATION",
            conflicts_with = "to",
            allow_hyphen_values = true
        )]
        #[arg(value_parser = length)]
        by: Option<TimeDelta>,
        #[command(flatten)]
        change: Box<Change>,
    },
}

/// A change of many jobs.
#[derive(Debug, Args)]
struct Change {
    #[command(flatten)]
    filter: FilterArguments,
    /// Every delayed job, if there is no filter
    #[arg(long)]
    all: bool,
    /// Maximum number of jobs to change, the soonest first
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// Maximum number of jobs to change in a second
    #[arg(long, value_name = "NUMBER")]
    rate: Option<u32>,
    /// Show how many jobs match, and three of them, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    actor: ActorArguments,
    #[command(flatten)]
    operator: OperatorArguments,
}

fn length(text: &str) -> Result<TimeDelta, String> {
    duration::parse(text).map_err(|error| format!("{error}; {}", error.help))
}

pub(super) fn delayed(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let now = SystemClock.now();
    match &arguments.command {
        Command::List {
            filter,
            limit,
            jsonl,
            operator,
        } => {
            let filter = filter.filter(now)?;
            if *jsonl {
                stream(operator, &filter, *limit)
            } else {
                list(operator, &filter, *limit)
            }
        }
        Command::Count { filter, operator } => {
            let filter = filter.filter(now)?;
            let count = ask(operator, async |console| {
                delayed::count(console, &filter, now).await
            })?;
            let text = format!("{}\n", count.matched);
            render::answer(operator.json, &count, &text)?;
            Ok(render::code(count.matched == 0))
        }
        Command::Stats { operator } => {
            let stats = ask(operator, async |console| delayed::stats(console, now).await)?;
            render::answer(operator.json, &stats, &stats_text(&stats))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Remove(how) => change(how, DelayedAction::Remove, "Remove", now),
        Command::RunNow(how) => change(how, DelayedAction::RunNow, "Enqueue", now),
        Command::Reschedule {
            to,
            by,
            change: how,
        } => {
            let action = match (to, by) {
                (Some(to), _) => DelayedAction::MoveTo(how.filter.time(to, now)?),
                (None, by) => DelayedAction::MoveBy(by.unwrap_or_default()),
            };
            change(how, action, "Reschedule", now)
        }
    }
}

/// Prints each job as a JSON line as soon as it is found.
fn stream(
    operator: &OperatorArguments,
    filter: &DelayedFilter,
    limit: Option<usize>,
) -> Result<ExitCode, Failure> {
    let (mut found, mut written) = (0, Ok(()));
    let mut output = io::BufWriter::new(io::stdout().lock());
    ask(operator, async |console| {
        let visit = |job: DelayedJob| {
            if limit.is_some_and(|limit| found >= limit) {
                return false;
            }
            found += 1;
            written = serde_json::to_writer(&mut output, &FoundJob::from(&job))
                .map_err(io::Error::from)
                .and_then(|()| output.write_all(b"\n"));
            written.is_ok()
        };
        delayed::find(console, filter, visit).await
    })?;
    match written.and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(render::code(found == 0)),
    }
}

fn list(
    operator: &OperatorArguments,
    filter: &DelayedFilter,
    limit: Option<usize>,
) -> Result<ExitCode, Failure> {
    let jobs = matching(operator, filter, limit)?;
    let found: Vec<FoundJob> = jobs.iter().map(FoundJob::from).collect();
    render::list(operator.json, "jobs", &found, &table(&found))
}

fn matching(
    operator: &OperatorArguments,
    filter: &DelayedFilter,
    limit: Option<usize>,
) -> Result<Vec<DelayedJob>, Failure> {
    let mut jobs = vec![];
    ask(operator, async |console| {
        let visit = |job| {
            if limit.is_some_and(|limit| jobs.len() >= limit) {
                return false;
            }
            jobs.push(job);
            true
        };
        delayed::find(console, filter, visit).await
    })?;
    Ok(jobs)
}

fn table(jobs: &[FoundJob]) -> Table {
    let mut table = Table::new(["DUE", "QUEUE", "CLASS", "ARGUMENTS"]);
    for job in jobs {
        table.row([
            &job.at.map_or_else(|| "-".to_owned(), render::utc),
            job.queue.as_deref().unwrap_or("-"),
            job.class.as_deref().unwrap_or("-"),
            job.args.as_deref().map_or(&*job.item, |args| args.get()),
        ]);
    }
    table
}

fn change(
    how: &Change,
    action: DelayedAction,
    verb: &str,
    now: DateTime<Utc>,
) -> Result<ExitCode, Failure> {
    let filter = how.filter.filter(now)?;
    if filter.is_empty() && !how.all {
        return Err(Failure::NoFilter);
    }
    let operator = &how.operator;
    let jobs = matching(operator, &filter, how.limit)?;
    if jobs.is_empty() {
        render::note("no delayed job matches")?;
        return Ok(render::code(true));
    }
    let examples: Vec<FoundJob> = jobs
        .iter()
        .take(render::EXAMPLES)
        .map(FoundJob::from)
        .collect();
    let matched = jobs.len();
    if how.dry_run || !how.yes {
        let plural = if matched == 1 { " matches" } else { "s match" };
        render::note(&format!("{matched} job{plural}:\n{}", table(&examples)))?;
    }
    if how.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if !confirm(&format!("{verb} them?"), how.yes)? {
        return Ok(ExitCode::from(render::NOT_CONFIRMED));
    }
    let options = ChangeOptions {
        rate: how.rate,
        stop: CancellationToken::new(),
    };
    let mut changed = DelayedChanged::default();
    let done = ask(operator, async |console| {
        let stop = options.stop.clone();
        let work = delayed::change(console, jobs, action, &options, &mut changed);
        let interrupted = async {
            // If the handler cannot be installed, Ctrl-C ends the process, which is just as safe.
            let _ = tokio::signal::ctrl_c().await;
            stop.cancel();
            future::pending::<Infallible>().await
        };
        let done = tokio::select! {
            done = work => done,
            never = interrupted => match never {},
        };
        if changed.done > 0 {
            delayed::note(console, action, &mut changed, &how.actor.actor(), now).await;
        }
        done
    });
    let text = text_of(&changed, verb);
    render::answer(operator.json, &changed, &text)?;
    for error in &changed.errors {
        render::note(&format!("not changed: {error}"))?;
    }
    render::unrecorded(changed.unrecorded.as_deref())?;
    done?;
    let failed = changed.rejected > 0 || changed.stopped;
    Ok(ExitCode::from(u8::from(failed)))
}

fn text_of(changed: &DelayedChanged, verb: &str) -> String {
    let DelayedChanged {
        matched,
        done,
        gone,
        rejected,
        ..
    } = changed;
    let past = match verb {
        "Remove" => "removed",
        "Enqueue" => "enqueued",
        _ => "rescheduled",
    };
    let mut text = format!("{past} {done} of {matched}");
    if *gone > 0 {
        text = format!("{text}, {gone} were gone already");
    }
    if *rejected > 0 {
        text = format!("{text}, {rejected} could not be changed");
    }
    if changed.stopped {
        text = format!("{text}; stopped");
    }
    text + "\n"
}

fn stats_text(stats: &DelayedStats) -> String {
    let mut due = Table::new(["DUE", "JOBS", ""]);
    let most = stats.due.iter().map(|it| it.jobs).max().unwrap_or_default();
    for within in &stats.due {
        let name = match within.within_s {
            Some(3_600) => "within 1 h",
            Some(86_400) => "within 1 d",
            Some(_) => "within 7 d",
            None => "later",
        };
        let bar = "█".repeat((within.jobs * 40).div_ceil(most.max(1)));
        due.row([name, &within.jobs.to_string(), &bar]);
    }
    let mut classes = Table::new(["CLASS", "QUEUE", "JOBS"]);
    for count in &stats.classes {
        classes.row([
            count.class.as_deref().unwrap_or("-"),
            count.queue.as_deref().unwrap_or("-"),
            &count.jobs.to_string(),
        ]);
    }
    let megabytes = stats.bytes / 1_000_000;
    format!(
        "{} jobs wait, {megabytes} MB of items (about twice that in Redis)\n\n{due}\n{classes}",
        stats.waiting
    )
}

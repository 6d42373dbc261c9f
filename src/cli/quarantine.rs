//! `rescue-scheduler quarantine …`: lists, retries and discards delayed jobs that could not be enqueued.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::{
    cli::{
        args::operator::{ActorArguments, OperatorArguments},
        ask::ask,
        confirm::confirm,
        failure::Failure,
        render::{self, table::Table},
    },
    clock::{Clock as _, SystemClock},
    control::quarantine::{self, QuarantineAction, QuarantinedJob},
};

/// List, retry and discard delayed jobs that could not be enqueued
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the jobs in quarantine, the oldest first
    List {
        #[command(flatten)]
        operator: OperatorArguments,
    },
    /// Show one job, whole
    Show {
        /// Number of the job in the list
        number: usize,
        #[command(flatten)]
        operator: OperatorArguments,
    },
    /// Put jobs back into the buckets that they were in; the scheduler tries them again
    Retry(Change),
    /// Remove jobs for good
    Discard(Change),
}

/// A change of jobs in quarantine.
#[derive(Debug, Args)]
struct Change {
    /// Numbers of the jobs in the list
    #[arg(
        value_name = "NUMBER",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    numbers: Vec<usize>,
    /// Every job in quarantine
    #[arg(long)]
    all: bool,
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

pub(super) fn quarantine(arguments: &Arguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        Command::List { operator } => {
            let jobs = ask(operator, async |console| {
                quarantine::list(console, &[]).await
            })?;
            render::list(operator.json, "jobs", &jobs, &table(&jobs))
        }
        Command::Show { number, operator } => {
            let jobs = ask(operator, async |console| {
                quarantine::list(console, &[*number]).await
            })?;
            let Some(job) = jobs.first() else {
                render::note(&format!("no job {number} in quarantine"))?;
                return Ok(render::code(true));
            };
            render::answer(operator.json, job, &text(job))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Retry(how) => change(how, QuarantineAction::Retry, "Put them back?", "put back"),
        Command::Discard(how) => change(
            how,
            QuarantineAction::Discard,
            "Remove them for good?",
            "discarded",
        ),
    }
}

fn change(
    how: &Change,
    action: QuarantineAction,
    question: &str,
    past: &str,
) -> Result<ExitCode, Failure> {
    let now = SystemClock.now();
    let jobs = ask(&how.operator, async |console| {
        quarantine::list(console, &how.numbers).await
    })?;
    if jobs.is_empty() {
        render::note("no job in quarantine matches")?;
        return Ok(render::code(true));
    }
    if how.dry_run || !how.yes {
        let examples = &jobs[..render::EXAMPLES.min(jobs.len())];
        let plural = if jobs.len() == 1 {
            " matches"
        } else {
            "s match"
        };
        render::note(&format!("{} job{plural}:\n{}", jobs.len(), table(examples)))?;
    }
    if how.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if !confirm(question, how.yes)? {
        return Ok(ExitCode::from(render::NOT_CONFIRMED));
    }
    let changed = ask(&how.operator, async |console| {
        quarantine::change(console, jobs, action, &how.actor.actor(), now).await
    })?;
    let text = format!("{past} {} of {}\n", changed.done, changed.matched);
    render::answer(how.operator.json, &changed, &text)?;
    for error in &changed.errors {
        render::note(&format!("not changed: {error}"))?;
    }
    render::unrecorded(changed.unrecorded.as_deref())?;
    Ok(ExitCode::from(u8::from(changed.rejected > 0)))
}

fn table(jobs: &[QuarantinedJob]) -> Table {
    let mut table = Table::new(["NUMBER", "SINCE", "BUCKET", "CLASS", "REASON"]);
    for job in jobs {
        table.row([
            &job.number.to_string(),
            &job.at.map_or_else(|| "-".to_owned(), render::utc),
            &job.bucket,
            job.class.as_deref().unwrap_or("-"),
            &job.reason,
        ]);
    }
    table
}

fn text(job: &QuarantinedJob) -> String {
    let mut table = Table::new([]);
    let mut row = |key: &str, value: &str| table.row([key, value]);
    row("reason", &job.reason);
    row("since", &job.at.map_or_else(|| "-".to_owned(), render::utc));
    row("bucket", &job.bucket);
    row("class", job.class.as_deref().unwrap_or("-"));
    row("queue", job.queue.as_deref().unwrap_or("-"));
    row(
        "item",
        job.item
            .as_deref()
            .unwrap_or("too large; in a list of its own"),
    );
    table.to_string()
}

//! `rescue-scheduler next`: lists the next fires of a schedule or of one expression.

use std::{io::Write as _, num::NonZeroUsize, path::PathBuf, sync::Arc};

use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args};
use serde::Serialize;

use crate::{
    cli::{
        args::context::ContextArguments,
        batch,
        failure::Failure,
        render::{self, table::Table},
    },
    clock::{Clock as _, SystemClock},
    config::{Source, expression, settings},
    core::{
        firing::upcoming::{in_words, upcoming},
        schedule::entry::Entry,
        time::instant::rfc3339,
    },
};

/// Lines are short enough for a terminal of 80 columns, because clap wraps them badly.
const BATCH: &str = r#"Answer JSON Lines on standard input, each with one line:

{"cron": "0 9 * * mon", "tz": "Europe/Paris",
 "from": "2026-11-24T12:00:00Z", "count": 1}
    is answered with {"next": ["2026-11-30T08:00:00Z"]},
{"every": "1h30m"}
    with {"seconds": 5400}; an invalid line with {"error": "..."}.

Defaults: "tz" is UTC (--timezone is ignored), "from" is now,
"count" is 5."#;

/// List the next fires of schedule files, or of one expression, in order of time
///
/// Does not use Redis and fires nothing. It does not know when an entry was first seen or last fired, so
/// intervals are counted as if the entries were first seen at --from.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["files", "cron", "every", "batch"]).required(true))]
pub(super) struct Arguments {
    /// Schedule files (TOML, or resque-scheduler's YAML), or directories of them
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Cron expression to read in place of files
    #[arg(long, value_name = "EXPR")]
    cron: Option<String>,

    /// Interval to read in place of files, such as `1h30m`
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    every: Option<String>,

    /// Answer each line of JSON on standard input with one line
    #[arg(long, conflicts_with_all = ["count", "from", "until", "entry", "json"])]
    #[arg(long_help = BATCH)]
    batch: bool,

    /// Maximum number of fires to list, of all entries together
    #[arg(short = 'n', long, value_name = "NUMBER", default_value = "10")]
    count: NonZeroUsize,

    /// List fires later than this time (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", value_parser = settings::instant)]
    from: Option<DateTime<Utc>>,

    /// List fires not later than this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = settings::instant)]
    until: Option<DateTime<Utc>>,

    /// List the fires of this entry only
    #[arg(long, value_name = "NAME", conflicts_with_all = ["cron", "every"])]
    entry: Option<String>,

    /// Write JSON Lines instead of a table
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    context: ContextArguments,
}

/// A fire, as `--json` prints it.
#[derive(Serialize)]
struct Fire<'a> {
    #[serde(flatten)]
    named: Option<Named<'a>>,
    at: String,
    local: String,
    timezone: String,
}

/// The fields that only fires of a schedule file have.
#[derive(Serialize)]
struct Named<'a> {
    entry: &'a str,
    class: &'a str,
    queue: &'a str,
}

/// Lists the next fires, or answers the lines on standard input.
pub(super) fn next(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.batch {
        return Ok(batch::answer_all()?);
    }
    let from = arguments.from.unwrap_or_else(|| SystemClock.now());
    let entries = entries(arguments)?;
    let fires = upcoming(&entries, from)
        .take_while(|(at, _)| arguments.until.is_none_or(|until| *at <= until))
        .take(arguments.count.get());
    if arguments.json {
        json(arguments, fires)
    } else {
        table(arguments, fires, from)
    }
}

fn entries(arguments: &Arguments) -> Result<Vec<Arc<Entry>>, Failure> {
    let typed = match (&arguments.cron, &arguments.every) {
        (Some(text), _) => Some(expression::cron(
            &Source::new("--cron", &**text),
            arguments.context.zone(),
        )),
        (None, Some(text)) => Some(expression::every(
            &Source::new("--every", &**text),
            arguments.context.zone(),
        )),
        (None, None) => None,
    };
    if let Some(entry) = typed {
        return Ok(vec![Arc::new(entry.map_err(Failure::Expression)?)]);
    }
    let schedule = arguments.context.load(&arguments.files)?.schedule;
    let Some(name) = &arguments.entry else {
        return Ok(schedule.entries().cloned().collect());
    };
    let left_out = schedule.left_out().iter().find(|it| it.name == *name);
    match (schedule.get(name), left_out) {
        (Some(entry), _) => Ok(vec![Arc::clone(entry)]),
        (None, Some(left_out)) => Err(Failure::LeftOut(left_out.clone())),
        (None, None) => Err(Failure::NoEntry {
            name: name.clone(),
            nearest: schedule.nearest(name).map(str::to_owned),
        }),
    }
}

fn json<'a>(
    arguments: &Arguments,
    fires: impl Iterator<Item = (DateTime<Utc>, &'a Arc<Entry>)>,
) -> Result<(), Failure> {
    Ok(render::print(|output| {
        for (at, entry) in fires {
            let named = Named {
                entry: &entry.name,
                class: entry.job.class(),
                queue: entry.job.queue(),
            };
            let fire = Fire {
                named: (!arguments.files.is_empty()).then_some(named),
                at: rfc3339(at),
                local: entry.zone.local(at).to_rfc3339(),
                timezone: entry.zone.to_string(),
            };
            serde_json::to_writer(&mut *output, &fire)?;
            output.write_all(b"\n")?;
        }
        Ok(())
    })?)
}

fn table<'a>(
    arguments: &Arguments,
    fires: impl Iterator<Item = (DateTime<Utc>, &'a Arc<Entry>)>,
    from: DateTime<Utc>,
) -> Result<(), Failure> {
    let titles = match arguments.files.as_slice() {
        [] => ["LOCAL TIME", "ZONE", "UTC", "WHEN", "", ""],
        _ => ["LOCAL TIME", "ZONE", "UTC", "WHEN", "ENTRY", "QUEUE"],
    };
    let mut table = Table::new(titles);
    for (at, entry) in fires {
        table.row([
            &render::time(entry.zone.local(at)),
            &entry.zone.to_string(),
            &at.format("%Y-%m-%d %H:%M:%SZ").to_string(),
            &in_words(at, from),
            &entry.name,
            entry.job.queue(),
        ]);
    }
    if table.is_empty() {
        return Ok(render::note("no fires to come")?);
    }
    Ok(render::text(&table.to_string())?)
}

//! `rescue-scheduler history` and `rescue-scheduler events`: list what happened.

use std::process::ExitCode;

use clap::Args;

use crate::{
    cli::{
        args::operator::OperatorArguments,
        ask::ask,
        failure::Failure,
        render::{self, table::Table},
    },
    clock::{Clock as _, SystemClock},
    config::settings,
    control::{
        events,
        history::{self, HistoryFilter},
    },
    core::{
        firing::outcome::Outcome,
        time::{phrase, zone::Zone},
    },
};

/// List what became of the fires of an entry, or of all entries; newest last
#[derive(Debug, Args)]
pub(super) struct HistoryArguments {
    /// Name of the entry; without it, the histories of all entries
    name: Option<String>,

    /// List fires with this outcome only, such as `missed`
    #[arg(long, value_name = "WORD")]
    outcome: Option<Outcome>,

    /// List fires at this time or later only, such as `2h ago` or RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Time zone of the time that you type [default: UTC]
    #[arg(long, env = "TZ", value_name = "ZONE", value_parser = settings::zone)]
    timezone: Option<Zone>,

    /// Print one line of JSON for each record
    #[arg(long, conflicts_with = "json")]
    jsonl: bool,

    #[command(flatten)]
    operator: OperatorArguments,
}

/// List what happened to the schedulers, and what people did; newest last
#[derive(Debug, Args)]
pub(super) struct EventsArguments {
    /// Print one line of JSON for each event
    #[arg(long, conflicts_with = "json")]
    jsonl: bool,

    #[command(flatten)]
    operator: OperatorArguments,
}

pub(super) fn history(arguments: &HistoryArguments) -> Result<ExitCode, Failure> {
    let (now, zone) = (SystemClock.now(), arguments.timezone.unwrap_or(Zone::UTC));
    let since = arguments
        .since
        .as_deref()
        .map(|text| phrase::parse(text, now, zone));
    let filter = HistoryFilter {
        entry: arguments.name.clone(),
        outcome: arguments.outcome,
        since: since.transpose()?,
    };
    let records = ask(&arguments.operator, async |console| {
        history::history(console, &filter).await
    })?;
    if arguments.jsonl {
        return render::json_lines(&records);
    }
    let mut table = Table::new(["FIRE TIME", "ENTRY", "OUTCOME", "FIRES", "LATE", "REASON"]);
    for record in &records {
        let count = record
            .count
            .map_or_else(|| "many".to_owned(), |it| it.to_string());
        let late = record
            .lateness_s
            .map_or_else(String::new, |it| format!("{it:.3} s"));
        table.row([
            &render::utc(record.fire_time),
            &record.entry,
            record.outcome,
            &count,
            &late,
            record.reason.as_deref().unwrap_or_default(),
        ]);
    }
    render::list(arguments.operator.json, "records", &records, &table)
}

pub(super) fn events(arguments: &EventsArguments) -> Result<ExitCode, Failure> {
    let found = ask(&arguments.operator, events::events)?;
    if arguments.jsonl {
        return render::json_lines(&found);
    }
    let mut table = Table::new(["TIME", "ACTOR", "WHAT", "TARGET", "COUNT", "REASON"]);
    for event in &found {
        let count = event.count.map_or_else(String::new, |it| it.to_string());
        table.row([
            &render::utc(event.at),
            &event.actor,
            &event.verb.replace('_', " "),
            event.target.as_deref().unwrap_or_default(),
            &count,
            event.reason.as_deref().unwrap_or_default(),
        ]);
    }
    render::list(arguments.operator.json, "events", &found, &table)
}

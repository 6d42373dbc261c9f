//! `rescue-scheduler status`: reports the leader, queue and delayed counts, and problems.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args;

use crate::{
    cli::{
        args::operator::OperatorArguments,
        ask::ask,
        failure::Failure,
        render::{
            self,
            table::Table,
            times::{since, until},
        },
    },
    clock::{Clock as _, SystemClock},
    control::status::{self, SchedulerStatus, Status},
    store::Role,
};

/// Show the leader, the followers, what waits, and every problem
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Exit with 10 if there is a problem
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    operator: OperatorArguments,
}

pub(super) fn status(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let now = SystemClock.now();
    let answer = ask(&arguments.operator, async |console| {
        status::status(console, now).await
    })?;
    if arguments.operator.json {
        render::json(&answer)?;
    } else {
        render::text(&text(&answer, now))?;
    }
    let is_problem = arguments.check && !answer.problems.is_empty();
    Ok(if is_problem {
        ExitCode::from(render::PROBLEM)
    } else {
        ExitCode::SUCCESS
    })
}

fn text(status: &Status, now: DateTime<Utc>) -> String {
    let mut table = Table::new([]);
    match &status.leader {
        Some(leader) => {
            let ours = status
                .schedulers
                .iter()
                .find(|it| it.holder == leader.holder);
            let process = ours.map_or_else(
                || "not a rescue-scheduler".to_owned(),
                |it| process(it, now),
            );
            let lease = match leader.lease_left_s {
                Some(left) => format!("lease {left:.1} s left"),
                None => "lock without TTL".to_owned(),
            };
            table.row(["leader", &format!("{}  {process}, {lease}", leader.holder)]);
        }
        None => table.row(["leader", "none"]),
    }
    for scheduler in &status.schedulers {
        let role = match scheduler.role {
            Role::Leading => continue,
            Role::Following => "follower",
            Role::ClockOff => "clock off",
        };
        table.row([
            role,
            &format!("{}  {}", scheduler.holder, process(scheduler, now)),
        ]);
    }
    let redis = &status.redis;
    let version = redis.version.as_deref().unwrap_or("unknown version");
    table.row([
        "redis",
        &format!(
            "{}, namespace {}, {version}, clock {:+.3} s",
            redis.address, redis.namespace, redis.skew_s
        ),
    ]);
    let entries = &status.entries;
    let paused = match entries.paused {
        0 => String::new(),
        paused => format!(" ({paused} paused)"),
    };
    let next = entries.next.as_ref().map_or_else(String::new, |next| {
        format!(", next: {} {}", next.entry, until(next.at, now))
    });
    table.row(["entries", &format!("{}{paused}{next}", entries.total)]);
    let delayed = &status.delayed;
    let next = match delayed.oldest_due_at {
        Some(at) if at > now => format!(", next {}", until(at, now)),
        _ => String::new(),
    };
    table.row([
        "delayed",
        &format!("{} waiting, {} due{next}", delayed.waiting, delayed.due),
    ]);
    table.row(["quarantine", &status.quarantine.size.to_string()]);
    let mut text = table.to_string();
    if !status.problems.is_empty() {
        let mut problems = Table::new([]);
        for problem in &status.problems {
            let command = problem.command.as_deref();
            let command = command.map_or_else(String::new, |it| format!("rescue-scheduler {it}"));
            problems.row(["warn", &problem.text, &command]);
        }
        text.push_str("\nPROBLEMS\n");
        text.push_str(&problems.to_string());
    }
    text
}

fn process(scheduler: &SchedulerStatus, now: DateTime<Utc>) -> String {
    format!(
        "version {}, running for {}",
        scheduler.version,
        since(scheduler.since, now)
    )
}

//! The arguments and the environment variables that set them.

pub(super) mod address;
pub(super) mod compat;
pub(super) mod context;
pub(super) mod daemon;
pub(super) mod filter;
pub(super) mod limits;
pub(super) mod operator;

use std::sync::LazyLock;

use clap::{
    CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::Resettable,
    error::{ContextKind, ContextValue},
};

use crate::cli::{
    args::daemon::DaemonArguments, check, convert, delayed, enqueue, explain, generate, history,
    next, quarantine, schedule, status,
};

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let (program, zones) = (env!("CARGO_PKG_VERSION"), chrono_tz::IANA_TZDB_VERSION);
    format!("{program} (time zone database {zones})")
});

/// Enqueues Resque jobs when they are due: recurring jobs from a schedule, and delayed jobs that apps
/// write to Redis with `enqueue_at`. Resque workers run the jobs; this program runs none.
#[derive(Debug, Parser)]
#[command(version = VERSION.as_str(), max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(super) struct CommandLine {
    #[command(flatten)]
    pub(super) daemon: DaemonArguments,

    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the scheduler; this is the default if no command is given
    Run(Box<DaemonArguments>),
    Next(next::Arguments),
    Check(check::Arguments),
    Convert(convert::Arguments),
    Status(status::Arguments),
    Schedule(schedule::Arguments),
    Delayed(delayed::Arguments),
    Enqueue(enqueue::Arguments),
    Explain(explain::Arguments),
    Quarantine(quarantine::Arguments),
    History(history::HistoryArguments),
    Events(history::EventsArguments),
    Completions(generate::CompletionsArguments),
    Man(generate::ManArguments),
}

/// Parses the command line and the environment. On an error, `--help` or `--version`, prints the text and exits.
pub(super) fn parse() -> CommandLine {
    let command = without_empty_variables(CommandLine::command());
    // Variables of the daemon do not apply to the other commands: `next` must work even if a variable has a wrong
    // value.
    let without_variables = |argument: clap::Arg| argument.env(Resettable::Reset);
    let of_a_command = command.clone().mut_args(without_variables);
    let matches = of_a_command.try_get_matches().ok();
    let matches = matches.filter(|it| it.subcommand_name().is_some());
    let matches = matches.map_or_else(|| command.clone().try_get_matches(), Ok);
    let parsed = matches.and_then(|it| CommandLine::from_arg_matches(&it));
    parsed.unwrap_or_else(|error| with_variable(error, &command).exit())
}

/// Adds the name of the variable to an error about a value that comes from a variable.
fn with_variable(mut error: clap::Error, command: &clap::Command) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    // It looks like `--interval <SECONDS>`.
    let argument = text(ContextKind::InvalidArg);
    let flag = argument.trim_start_matches('-').split(' ').next();
    let value = text(ContextKind::InvalidValue);
    let mut variables = command
        .get_arguments()
        .filter(|it| it.get_long() == flag)
        .filter_map(clap::Arg::get_env)
        .filter(|it| std::env::var_os(it).is_some_and(|found| *found == *value));
    if let Some(variable) = variables.next() {
        let tip = format!("the value is from the variable {}", variable.display());
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![tip.into()]),
        );
    }
    error
}

/// Treats variables that are set to an empty text as unset, in this command and its subcommands.
fn without_empty_variables(mut command: clap::Command) -> clap::Command {
    let unset = |argument: &clap::Arg| {
        let value = argument.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    let ids: Vec<_> = command
        .get_arguments()
        .filter(|it| unset(it))
        .map(|it| it.get_id().clone())
        .collect();
    for id in ids {
        command = command.mut_arg(id, |argument| argument.env(Resettable::Reset));
    }
    command.mut_subcommands(without_empty_variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_in_the_debug_output_of_the_command_line() {
        let parsed = CommandLine::try_parse_from([
            "rescue-scheduler",
            "--redis-url=redis://:s3cret@host",
            "--sentinel-password=s3cret",
        ]);
        let shown = format!("{:?}", parsed.unwrap());
        assert!(shown.contains("namespace: \"resque\""), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

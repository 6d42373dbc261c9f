//! What can be typed, and which variables of the environment stand for it.

pub(super) mod address;
pub(super) mod compat;
pub(super) mod context;
pub(super) mod daemon;
pub(super) mod limits;

use std::sync::LazyLock;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, builder::Resettable};

use crate::cli::{args::daemon::DaemonArguments, check, convert, next};

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let (program, zones) = (env!("CARGO_PKG_VERSION"), chrono_tz::IANA_TZDB_VERSION);
    format!("{program} (time zone database {zones})")
});

/// Enqueues Resque jobs on time, exactly once: recurring jobs from a schedule, and delayed jobs
/// that apps put into Redis with `enqueue_at`. It runs no job itself; Resque workers do.
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
    /// Run the scheduler, which is also what happens without a command
    Run(Box<DaemonArguments>),
    Next(next::Arguments),
    Check(check::Arguments),
    Convert(convert::Arguments),
}

/// Reads the command line and the environment, or ends the process with usage or help.
pub(super) fn parse() -> CommandLine {
    let command = without_empty_variables(CommandLine::command());
    // The variables of the daemon are none of the commands': a wrong value does not stop `next`.
    let without_variables = |argument: clap::Arg| argument.env(Resettable::Reset);
    let of_a_command = command.clone().mut_args(without_variables);
    let matches = of_a_command.try_get_matches().ok();
    let matches = matches.filter(|it| it.subcommand_name().is_some());
    let matches = matches.unwrap_or_else(|| command.get_matches());
    CommandLine::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// A variable that is set to nothing is not set, for this command and those below it.
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

//! The command line: what can be typed, and which code answers. No logic of its own.

mod run;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use chrono::{DateTime, Utc};
use clap::{
    CommandFactory, FromArgMatches, Parser,
    builder::{FalseyValueParser, NonEmptyStringValueParser, Resettable},
};

use crate::{
    config::settings,
    core::zone::Zone,
    logs::{self, Format},
};

/// Enqueues Resque jobs on time, exactly once: recurring jobs from a schedule, and delayed jobs
/// that apps put into Redis with `enqueue_at`. It runs no job itself; Resque workers do.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that can be typed"
)]
struct Arguments {
    /// Schedule files (TOML), or directories of them; without any, delayed jobs only
    #[arg(value_name = "SCHEDULE")]
    schedules: Vec<PathBuf>,

    /// Where Redis is: `redis://[:PASSWORD@]HOST[:PORT][/DB]` or `unix:///PATH`
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    #[arg(default_value = "redis://127.0.0.1:6379/0")]
    redis_url: String,

    /// What all Redis keys begin with
    #[arg(
        long,
        env = "RESQUE_NAMESPACE",
        value_name = "NAME",
        default_value = "resque"
    )]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    namespace: String,

    /// Load entries with `env` only where it names this environment
    #[arg(short = 'E', long, env = "RAILS_ENV", value_name = "NAME")]
    environment: Option<String>,

    /// Time zone of entries that name none; UTC without it
    #[arg(long, env = "TZ", value_name = "ZONE", value_parser = settings::zone)]
    timezone: Option<Zone>,

    /// Look for due delayed jobs this often, beside each whole second
    #[arg(short, long, env = "RESQUE_SCHEDULER_INTERVAL", value_name = "SECONDS")]
    #[arg(default_value = "1", value_parser = settings::interval)]
    interval: Duration,

    /// A leader that goes silent is replaced after this long
    #[arg(long, env = "LOCK_TIMEOUT", value_name = "SECONDS")]
    #[arg(default_value = "15", value_parser = settings::lease)]
    lease: Duration,

    /// Part of the leader lock's key, for several schedulers in one namespace
    #[arg(
        long,
        env = "RESQUE_SCHEDULER_MASTER_LOCK_PREFIX",
        value_name = "PREFIX"
    )]
    lock_prefix: Option<String>,

    /// Enqueue all that is due now, recurring and delayed, then exit
    #[arg(long)]
    once: bool,

    /// The time that --once takes for now (RFC 3339)
    #[arg(long, requires = "once", value_name = "TIME", value_parser = settings::instant)]
    at: Option<DateTime<Utc>>,

    /// Start a private redis-server for a first try, and stop it at the end
    #[arg(long)]
    dev: bool,

    /// How log lines look
    #[arg(short = 'F', long, env = "LOGFORMAT", value_name = "FORMAT")]
    #[arg(default_value = "text", ignore_case = true)]
    log_format: Format,

    /// Append log lines to this file instead of writing them to standard error
    #[arg(short = 'l', long, env = "LOGFILE", value_name = "FILE")]
    logfile: Option<PathBuf>,

    /// Log warnings and errors only
    #[arg(short, long, env = "QUIET", value_parser = FalseyValueParser::new())]
    quiet: bool,

    /// Log more
    #[arg(short, long, env = "VERBOSE", value_parser = FalseyValueParser::new())]
    verbose: bool,

    /// Write the process number to this file, and remove it at the end
    #[arg(short = 'P', long, env = "PIDFILE", value_name = "FILE")]
    pidfile: Option<PathBuf>,
}

/// Does what the command line asks for. Exit codes: 0 done, 1 mistakes or failure, 2 usage.
pub fn main() -> ExitCode {
    match run::run(&parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            #[expect(clippy::print_stderr, reason = "the last word of the process")]
            {
                eprintln!("{failure}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line and the environment, or ends the process with usage or help. A variable
/// that is set to nothing is not set.
fn parse() -> Arguments {
    let mut command = Arguments::command();
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
    let arguments = Arguments::from_arg_matches(&command.get_matches());
    arguments.unwrap_or_else(|error| error.exit())
}

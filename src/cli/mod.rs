//! The command line: what can be typed, and which code answers. No logic of its own.

mod address;
mod batch;
mod check;
mod convert;
mod dev;
mod gem;
mod habit;
mod limits;
mod next;
mod output;
mod pidfile;
mod run;

use std::{
    ffi::OsStr,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::LazyLock,
    time::Duration,
};

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::{FalseyValueParser, Resettable},
};

use crate::{
    config::{self, Context, Diagnostic, Loaded, Mistakes, settings},
    core::{
        schedule::{LeftOut, Why},
        time::zone::Zone,
    },
    engine::OnceError,
    logs::Format,
    store::StoreError,
};

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let (program, zones) = (env!("CARGO_PKG_VERSION"), chrono_tz::IANA_TZDB_VERSION);
    format!("{program} (time zone database {zones})")
});

/// Enqueues Resque jobs on time, exactly once: recurring jobs from a schedule, and delayed jobs
/// that apps put into Redis with `enqueue_at`. It runs no job itself; Resque workers do.
#[derive(Debug, Parser)]
#[command(version = VERSION.as_str(), max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct CommandLine {
    #[command(flatten)]
    daemon: Arguments,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Next(next::Arguments),
    Check(check::Arguments),
    Convert(convert::Arguments),
}

/// What decides about the meaning of schedule files, whoever reads them.
#[derive(Debug, Args)]
struct ContextArguments {
    /// Load entries with `env` only where it names this environment
    #[arg(short = 'E', long, env = "RAILS_ENV", value_name = "NAME")]
    environment: Option<String>,

    /// Time zone of entries that name none; UTC without it
    #[arg(long, env = "TZ", value_name = "ZONE", value_parser = settings::zone)]
    timezone: Option<Zone>,

    /// Refuse schedule files that are larger than this
    #[arg(
        long,
        env = "MAX_SCHEDULE_SIZE",
        value_name = "SIZE",
        default_value = "64MB"
    )]
    #[arg(value_parser = settings::size)]
    max_schedule_size: u64,
}

impl ContextArguments {
    fn context(&self) -> Context {
        Context {
            environment: self.environment.clone(),
            zone: self.zone(),
        }
    }

    fn load(&self, files: &[PathBuf]) -> Result<Loaded, Mistakes> {
        config::load(files, &self.context(), self.max_schedule_size)
    }

    fn zone(&self) -> Zone {
        self.timezone.unwrap_or(Zone::UTC)
    }
}

/// What the daemon takes.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that can be typed"
)]
struct Arguments {
    /// Schedule files (TOML, or resque-scheduler's YAML), or directories of them; without any, delayed jobs only
    #[arg(value_name = "SCHEDULE")]
    schedules: Vec<PathBuf>,

    #[command(flatten)]
    context: ContextArguments,

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

    /// Also take the entries that apps set in Redis (`Resque.set_schedule`), over those of the files
    #[arg(
        short = 'D',
        long,
        visible_alias = "dynamic-schedule",
        env = "DYNAMIC_SCHEDULE"
    )]
    #[arg(value_parser = FalseyValueParser::new())]
    dynamic: bool,

    /// Enqueue all that is due now, recurring and delayed, then exit
    #[arg(long)]
    once: bool,

    /// The time that --once takes for now (RFC 3339). It does enqueue what is due then, and records
    /// it: entries don't fire again before that time
    #[arg(long, requires = "once", value_name = "TIME", value_parser = settings::instant)]
    at: Option<DateTime<Utc>>,

    /// Confirm an --at that is more than a minute ahead
    #[arg(long, requires = "at")]
    yes: bool,

    /// Start a private redis-server for a first try, and stop it at the end; --redis-url is not used
    #[arg(long)]
    dev: bool,

    /// How log lines look
    #[arg(
        short = 'F',
        long,
        alias = "logformat",
        env = "LOGFORMAT",
        value_name = "FORMAT"
    )]
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

    #[command(flatten)]
    redis: address::AddressArguments,

    #[command(flatten)]
    limits: limits::LimitArguments,

    #[command(flatten)]
    gem: gem::GemArguments,
}

/// Why a command failed; shown to the user as it is.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Schedule(#[from] Mistakes),
    #[error("{0}")]
    Expression(Diagnostic),
    #[error("error: no entry `{name}` in this schedule{}", did_you_mean(.nearest.as_deref()))]
    NoEntry {
        name: String,
        nearest: Option<String>,
    },
    #[error("error: entry `{}` is {}", .0.name, why_left_out(.0.why))]
    LeftOut(LeftOut),
    #[error("error: {count} warning{} (--strict)", if *count == 1 { "" } else { "s" })]
    Warnings { count: usize },
    #[error(
        "error: --background (BACKGROUND) is refused: run it in the foreground, and let a supervisor \
         (systemd, Docker, runit) keep it in the background and start it again"
    )]
    Background,
    #[error("error: {0}")]
    Habit(String),
    #[error(
        "error: --at is in the future: all that is due until {} would be enqueued now, and entries would not \
         fire before that time; pass --yes to do it",
        .0.to_rfc3339_opts(SecondsFormat::Secs, true)
    )]
    Future(DateTime<Utc>),
    #[error("error: {0}")]
    Store(#[from] StoreError),
    #[error("error: {0}")]
    Once(#[from] OnceError),
    #[error("error: can't {what} {path}: {error}", path = path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    #[error("error: {0}")]
    Io(#[from] io::Error),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Habit(_) | Self::Future(_) => ExitCode::from(USAGE),
            _ => ExitCode::FAILURE,
        }
    }
}

/// The exit code for what was typed wrong, as clap has it.
const USAGE: u8 = 2;

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

fn why_left_out(why: Why) -> String {
    match why {
        Why::Environment => {
            format!("{why}; choose the environment with --environment or RAILS_ENV")
        }
        Why::Disabled => format!("{why}; take `enabled = false` out of it"),
        Why::NoQueue => format!("left out: it {why}"),
    }
}

/// Does what the command line asks for. Exit codes: 0 done, 1 mistakes or failure, 2 usage.
pub fn main() -> ExitCode {
    let CommandLine { daemon, command } = parse();
    let done = match command {
        None => run::run(&daemon),
        Some(Command::Next(arguments)) => next::next(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Command::Check(arguments)) => check::check(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Command::Convert(arguments)) => {
            convert::convert(&arguments).map(|()| ExitCode::SUCCESS)
        }
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            // Nobody may be listening.
            let _ = writeln!(io::stderr(), "{failure}");
            failure.exit_code()
        }
    }
}

/// Reads the command line and the environment, or ends the process with usage or help.
fn parse() -> CommandLine {
    let mut command = without_empty_variables(CommandLine::command());
    let typed = std::env::args_os().nth(1);
    if command
        .get_subcommands()
        .any(|it| typed.as_deref() == Some(OsStr::new(it.get_name())))
    {
        // The variables of the daemon are none of the commands'.
        command = command.mut_args(|argument| argument.env(Resettable::Reset));
    }
    let arguments = CommandLine::from_arg_matches(&command.get_matches());
    arguments.unwrap_or_else(|error| error.exit())
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

//! Arguments of the daemon.

use std::{path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};
use clap::{Args, builder::FalseyValueParser};

use crate::{
    cli::args::{
        address::RedisArguments, compat::CompatArguments, context::ContextArguments,
        limits::LimitArguments,
    },
    config::settings,
    logs::Format,
};

/// Arguments of the daemon.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that can be typed"
)]
pub(in crate::cli) struct DaemonArguments {
    /// Schedule files (TOML, or resque-scheduler's YAML), or directories of them; if none is given, the scheduler
    /// moves delayed jobs only
    #[arg(value_name = "SCHEDULE")]
    pub(in crate::cli) schedules: Vec<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) context: ContextArguments,

    /// How often to look for due delayed jobs, in addition to every full second
    #[arg(short, long, env = "RESQUE_SCHEDULER_INTERVAL", value_name = "SECONDS")]
    #[arg(default_value = "1", value_parser = settings::interval)]
    pub(in crate::cli) interval: Duration,

    /// How long after the last sign of life of a leader another scheduler takes over
    #[arg(long, env = "LOCK_TIMEOUT", value_name = "SECONDS")]
    #[arg(default_value = "15", value_parser = settings::lease)]
    pub(in crate::cli) lease: Duration,

    /// Also load the entries that apps set in Redis (`Resque.set_schedule`); they override entries of the files
    #[arg(
        short = 'D',
        long,
        visible_alias = "dynamic-schedule",
        env = "DYNAMIC_SCHEDULE"
    )]
    #[arg(value_parser = FalseyValueParser::new())]
    pub(in crate::cli) dynamic: bool,

    /// Enqueue everything that is due now, recurring and delayed, then exit
    #[arg(long)]
    pub(in crate::cli) once: bool,

    /// Time that --once uses as the current time (RFC 3339). Jobs due then are really enqueued, and entries do not
    /// fire again before that time
    #[arg(long, requires = "once", value_name = "TIME", value_parser = settings::instant)]
    pub(in crate::cli) at: Option<DateTime<Utc>>,

    /// Confirm an --at that is more than a minute in the future
    #[arg(long, requires = "at")]
    pub(in crate::cli) yes: bool,

    /// Start a private redis-server for a first try, and stop it at exit; --redis-url is ignored
    #[arg(long)]
    pub(in crate::cli) dev: bool,

    /// Format of log lines
    #[arg(
        short = 'F',
        long,
        alias = "logformat",
        env = "LOGFORMAT",
        value_name = "FORMAT"
    )]
    #[arg(default_value = "text", ignore_case = true)]
    pub(in crate::cli) log_format: Format,

    /// File to append log lines to, in place of standard error
    #[arg(short = 'l', long, env = "LOGFILE", value_name = "FILE")]
    pub(in crate::cli) logfile: Option<PathBuf>,

    /// Log warnings and errors only
    #[arg(short, long, env = "QUIET", value_parser = FalseyValueParser::new())]
    pub(in crate::cli) quiet: bool,

    /// Log debug messages, too
    #[arg(short, long, env = "VERBOSE", value_parser = FalseyValueParser::new())]
    pub(in crate::cli) verbose: bool,

    /// File to write the process ID to; it is removed at exit
    #[arg(short = 'P', long, env = "PIDFILE", value_name = "FILE")]
    pub(in crate::cli) pidfile: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) redis: RedisArguments,

    #[command(flatten)]
    pub(in crate::cli) limits: LimitArguments,

    #[command(flatten)]
    pub(in crate::cli) compat: CompatArguments,
}

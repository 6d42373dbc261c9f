//! What the daemon takes.

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

/// What the daemon takes.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that can be typed"
)]
pub(in crate::cli) struct DaemonArguments {
    /// Schedule files (TOML, or resque-scheduler's YAML), or directories of them; without any, delayed jobs only
    #[arg(value_name = "SCHEDULE")]
    pub(in crate::cli) schedules: Vec<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) context: ContextArguments,

    /// Look for due delayed jobs this often, beside each whole second
    #[arg(short, long, env = "RESQUE_SCHEDULER_INTERVAL", value_name = "SECONDS")]
    #[arg(default_value = "1", value_parser = settings::interval)]
    pub(in crate::cli) interval: Duration,

    /// A leader that goes silent is replaced after this long
    #[arg(long, env = "LOCK_TIMEOUT", value_name = "SECONDS")]
    #[arg(default_value = "15", value_parser = settings::lease)]
    pub(in crate::cli) lease: Duration,

    /// Part of the leader lock's key, for several schedulers in one namespace
    #[arg(
        long,
        env = "RESQUE_SCHEDULER_MASTER_LOCK_PREFIX",
        value_name = "PREFIX"
    )]
    pub(in crate::cli) lock_prefix: Option<String>,

    /// Also take the entries that apps set in Redis (`Resque.set_schedule`), over those of the files
    #[arg(
        short = 'D',
        long,
        visible_alias = "dynamic-schedule",
        env = "DYNAMIC_SCHEDULE"
    )]
    #[arg(value_parser = FalseyValueParser::new())]
    pub(in crate::cli) dynamic: bool,

    /// Enqueue all that is due now, recurring and delayed, then exit
    #[arg(long)]
    pub(in crate::cli) once: bool,

    /// The time that --once takes for now (RFC 3339). It does enqueue what is due then, and records
    /// it: entries don't fire again before that time
    #[arg(long, requires = "once", value_name = "TIME", value_parser = settings::instant)]
    pub(in crate::cli) at: Option<DateTime<Utc>>,

    /// Confirm an --at that is more than a minute ahead
    #[arg(long, requires = "at")]
    pub(in crate::cli) yes: bool,

    /// Start a private redis-server for a first try, and stop it at the end; --redis-url is not used
    #[arg(long)]
    pub(in crate::cli) dev: bool,

    /// How log lines look
    #[arg(
        short = 'F',
        long,
        alias = "logformat",
        env = "LOGFORMAT",
        value_name = "FORMAT"
    )]
    #[arg(default_value = "text", ignore_case = true)]
    pub(in crate::cli) log_format: Format,

    /// Append log lines to this file instead of writing them to standard error
    #[arg(short = 'l', long, env = "LOGFILE", value_name = "FILE")]
    pub(in crate::cli) logfile: Option<PathBuf>,

    /// Log warnings and errors only
    #[arg(short, long, env = "QUIET", value_parser = FalseyValueParser::new())]
    pub(in crate::cli) quiet: bool,

    /// Log more
    #[arg(short, long, env = "VERBOSE", value_parser = FalseyValueParser::new())]
    pub(in crate::cli) verbose: bool,

    /// Write the process number to this file, and remove it at the end
    #[arg(short = 'P', long, env = "PIDFILE", value_name = "FILE")]
    pub(in crate::cli) pidfile: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) redis: RedisArguments,

    #[command(flatten)]
    pub(in crate::cli) limits: LimitArguments,

    #[command(flatten)]
    pub(in crate::cli) compat: CompatArguments,
}

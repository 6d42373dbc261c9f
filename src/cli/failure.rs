//! Why a command failed, and its exit code.

use std::{io, path::PathBuf, process::ExitCode};

use chrono::{DateTime, Utc};

use crate::{
    config::{Diagnostic, Mistakes},
    control::ControlError,
    core::{
        schedule::{LeftOut, LeftOutReason},
        time::{instant::rfc3339, phrase::PhraseError},
    },
    engine::OnceError,
    store::StoreError,
};

/// Why a command failed. Its text is printed as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Schedule(#[from] Mistakes),
    #[error("{0}")]
    Expression(Diagnostic),
    #[error("error: no entry `{name}` in this schedule{}", did_you_mean(.nearest.as_deref()))]
    NoEntry {
        name: String,
        nearest: Option<String>,
    },
    #[error("error: entry `{}` is {}", .0.name, why_left_out(.0.reason))]
    LeftOut(LeftOut),
    /// The answer in JSON says it.
    #[error("error: the schedule has errors")]
    Told,
    #[error("error: {count} warning{} (--strict)", if *count == 1 { "" } else { "s" })]
    Warnings { count: usize },
    #[error(
        "error: --background (BACKGROUND) is not supported: start the scheduler in the foreground under a \
         supervisor (systemd, Docker, runit), which keeps it running"
    )]
    Background,
    #[error("error: {0}")]
    Habit(String),
    #[error(
        "error: --at is in the future: everything that is due until {} would be enqueued now, and entries would \
         not fire before that time; to do it, pass --yes",
        rfc3339(*.0)
    )]
    Future(DateTime<Utc>),
    #[error("error: {0}")]
    Store(#[from] StoreError),
    #[error("error: {0}")]
    Time(#[from] PhraseError),
    #[error(
        "error: no filter is given; choose jobs with --class, --queue, --args, --where, --contains, --before or --after, or pass --all"
    )]
    NoFilter,
    #[error("error: not confirmed, and there is no terminal to ask on; pass --yes to do it")]
    NotConfirmed,
    #[error("error: {0}")]
    Control(#[from] ControlError),
    #[error("error: {0}")]
    Once(#[from] OnceError),
    #[error("error: cannot {what} {path}: {error}", path = path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    #[error("error: {0}")]
    Io(#[from] io::Error),
}

impl Failure {
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Control(ControlError::PauseOver)
            | Self::Habit(_)
            | Self::Future(_)
            | Self::Time(_)
            | Self::NoFilter
            | Self::NotConfirmed => ExitCode::from(USAGE),
            Self::Control(ControlError::NoEntry { .. }) => ExitCode::from(NOTHING),
            _ => ExitCode::FAILURE,
        }
    }
}

/// The exit code if nothing matched.
const NOTHING: u8 = 3;

/// Exit code for a wrong command line, as clap uses it.
const USAGE: u8 = 2;

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

fn why_left_out(why: LeftOutReason) -> String {
    match why {
        LeftOutReason::Environment => {
            format!("{why}; choose the environment with --environment or RAILS_ENV")
        }
        LeftOutReason::Disabled => format!("{why}; remove its `enabled = false`"),
        LeftOutReason::NoQueue => format!("left out: it {why}"),
    }
}

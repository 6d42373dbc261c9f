//! What resque-scheduler's own command line and environment have and ours need not: taken all the
//! same, so that a team can start ours in its place, and answered where it can't be had.

use clap::{Args, builder::FalseyValueParser};
use tracing::warn;

use crate::cli::Failure;

/// Flags and variables of resque-scheduler 5.0 that have no meaning of their own here.
#[derive(Debug, Args)]
#[command(next_help_heading = "As resque-scheduler")]
pub(super) struct GemArguments {
    /// Name of the app, for the log and the process' title
    #[arg(short = 'n', long, env = "APP_NAME", value_name = "NAME")]
    pub(super) app_name: Option<String>,

    /// Move at most so many delayed jobs in one step
    #[arg(long, env = "DELAYED_REQUEUE_BATCH_SIZE", value_name = "NUMBER")]
    #[arg(default_value = "300", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) delayed_requeue_batch_size: u16,

    /// Refused: a supervisor (systemd, Docker, runit) runs it in the background
    #[arg(short = 'B', long, env = "BACKGROUND", value_parser = FalseyValueParser::new())]
    background: bool,

    /// Ignored: no Ruby code is loaded
    #[arg(short = 'I', long, env = "INITIALIZER_PATH", value_name = "FILE")]
    initializer_path: Option<String>,
}

impl GemArguments {
    /// Refuses what can't be had, tells what is ignored, and names the process.
    pub(super) fn take_up(&self) -> Result<(), Failure> {
        if self.background {
            return Err(Failure::Background);
        }
        if let Some(initializer) = &self.initializer_path {
            warn!(initializer, "ignored: no Ruby code is loaded");
        }
        if let Some(app) = &self.app_name {
            name_process(app);
        }
        Ok(())
    }
}

/// The title as `ps -o comm` and `top` show it, as far as 15 bytes go.
#[cfg(target_os = "linux")]
fn name_process(app: &str) {
    let title: String = app.chars().filter(|it| *it != '\0').collect();
    if let Ok(title) = std::ffi::CString::new(format!("rescue:{title}")) {
        // Only for people to look at.
        let _ = nix::sys::prctl::set_name(&title);
    }
}

#[cfg(not(target_os = "linux"))]
fn name_process(_app: &str) {}

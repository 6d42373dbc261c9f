//! Flags and variables of resque-scheduler 5.0 that this scheduler does not need. They are accepted so that a team
//! can replace resque-scheduler without changing its command line.

use clap::{Args, builder::FalseyValueParser};
use tracing::warn;

use crate::cli::{failure::Failure, process::name_process};

/// Flags and variables of resque-scheduler 5.0 that this scheduler does not need.
#[derive(Debug, Args)]
#[command(next_help_heading = "As resque-scheduler")]
pub(in crate::cli) struct CompatArguments {
    /// Name of the app, shown in the log and in the process title
    #[arg(short = 'n', long, env = "APP_NAME", value_name = "NAME")]
    pub(in crate::cli) app_name: Option<String>,

    /// Maximum number of delayed jobs to move in one step
    #[arg(long, env = "DELAYED_REQUEUE_BATCH_SIZE", value_name = "NUMBER")]
    #[arg(default_value = "300", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(in crate::cli) delayed_requeue_batch_size: u16,

    /// Not supported: use a supervisor (systemd, Docker, runit) to run in the background
    #[arg(short = 'B', long, env = "BACKGROUND", value_parser = FalseyValueParser::new())]
    background: bool,

    /// Ignored: the scheduler loads no Ruby code
    #[arg(short = 'I', long, env = "INITIALIZER_PATH", value_name = "FILE")]
    initializer_path: Option<String>,
}

impl CompatArguments {
    /// Sets the process title and logs a warning for a flag that is ignored.
    ///
    /// # Errors
    /// [`Failure::Background`] for `--background`, which is not supported.
    pub(in crate::cli) fn apply(&self) -> Result<(), Failure> {
        if self.background {
            return Err(Failure::Background);
        }
        if let Some(initializer) = &self.initializer_path {
            warn!(
                initializer,
                "ignoring --initializer-path: the scheduler loads no Ruby code"
            );
        }
        if let Some(app) = &self.app_name {
            name_process(app);
        }
        Ok(())
    }
}

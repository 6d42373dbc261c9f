//! `rescue-scheduler convert FILE`: a schedule of resque-scheduler as TOML.

use std::{io::Write as _, path::PathBuf};

use clap::Args;

use crate::{
    cli::{failure::Failure, render},
    config,
};

/// Write a schedule of resque-scheduler (YAML) as TOML, to standard output
///
/// The entries are the same. Comments are kept; a note says what resque-scheduler ignores and TOML
/// would not allow. Mistakes are reported as at start, with exit code 1.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A schedule file of resque-scheduler, `*.yml` or `*.yaml`
    #[arg(value_name = "FILE", required = true)]
    file: PathBuf,
}

/// Prints the schedule in TOML, or fails with all mistakes.
pub(super) fn convert(arguments: &Arguments) -> Result<(), Failure> {
    let toml = config::convert(&arguments.file)?;
    Ok(render::print(|output| output.write_all(toml.as_bytes()))?)
}

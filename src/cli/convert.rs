//! `rescue-scheduler convert FILE`: converts a schedule of resque-scheduler to TOML.

use std::{io::Write as _, path::PathBuf};

use clap::Args;

use crate::{
    cli::{failure::Failure, render},
    config,
};

/// Convert a schedule of resque-scheduler (YAML) to TOML, on standard output
///
/// The entries and the comments stay the same. Where resque-scheduler ignores something that TOML does not
/// allow, a comment says so. If there is an error, the exit code is 1.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Schedule file of resque-scheduler, `*.yml` or `*.yaml`
    #[arg(value_name = "FILE", required = true)]
    file: PathBuf,
}

/// Prints the schedule as TOML, or fails with every error.
pub(super) fn convert(arguments: &Arguments) -> Result<(), Failure> {
    let toml = config::convert(&arguments.file)?;
    Ok(render::print(|output| output.write_all(toml.as_bytes()))?)
}

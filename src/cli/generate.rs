//! `rescue-scheduler completions` and `rescue-scheduler man`: from the same definition as `--help`.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::{args::CommandLine, failure::Failure, render};

/// Print the completions of a shell, to be loaded by it
#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Print the man page (roff)
#[derive(Debug, Args)]
pub(super) struct ManArguments {}

pub(super) fn completions(arguments: &CompletionsArguments) -> Result<ExitCode, Failure> {
    let mut command = CommandLine::command();
    let mut script = vec![];
    let name = command.get_name().to_owned();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    render::print(|output| std::io::Write::write_all(output, &script))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man() -> Result<ExitCode, Failure> {
    let mut page = vec![];
    Man::new(CommandLine::command()).render(&mut page)?;
    render::print(|output| std::io::Write::write_all(output, &page))?;
    Ok(ExitCode::SUCCESS)
}

//! `rescue-scheduler completions` and `rescue-scheduler man`, generated from the same definition as `--help`.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::{failure::Failure, render};

/// Print the completions of a shell, to be loaded by it
#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Print the man page (roff)
#[derive(Debug, Args)]
pub(super) struct ManArguments {}

pub(super) fn completions(
    arguments: &CompletionsArguments,
    mut command: Command,
) -> Result<ExitCode, Failure> {
    let mut script = vec![];
    let name = command.get_name().to_owned();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    render::print(|output| std::io::Write::write_all(output, &script))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man(command: Command) -> Result<ExitCode, Failure> {
    let mut page = vec![];
    Man::new(command).render(&mut page)?;
    render::print(|output| std::io::Write::write_all(output, &page))?;
    Ok(ExitCode::SUCCESS)
}

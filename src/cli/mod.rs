//! The command line: parses it (`args`) and calls the code of the chosen command. No logic of its own.

mod args;
mod batch;
mod check;
mod convert;
mod dev;
mod failure;
mod habit;
mod next;
mod process;
mod render;
mod run;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use crate::cli::args::{Command, CommandLine, parse};

/// Runs the command that the command line names. Exit codes: 0 done, 1 errors in a schedule or failure, 2 usage.
pub fn main() -> ExitCode {
    let CommandLine { daemon, command } = parse();
    let done = match command {
        None => run::run(&daemon),
        Some(Command::Run(daemon)) => run::run(&daemon),
        Some(Command::Next(arguments)) => next::next(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Command::Check(arguments)) => check::check(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Command::Convert(arguments)) => {
            convert::convert(&arguments).map(|()| ExitCode::SUCCESS)
        }
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            // Standard error may be closed.
            let _ = writeln!(io::stderr(), "{failure}");
            failure.exit_code()
        }
    }
}

//! The command line: parses it (`args`) and calls the code of the chosen command. No logic of its own.

mod args;
mod ask;
mod batch;
mod check;
mod confirm;
mod convert;
mod delayed;
mod dev;
mod enqueue;
mod explain;
mod failure;
mod generate;
mod habit;
mod history;
mod next;
mod process;
mod quarantine;
mod render;
mod run;
mod schedule;
mod status;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::CommandFactory as _;

use crate::cli::args::{Command, CommandLine, parse};

/// Runs the command that the command line names. Exit codes: 0 done, 1 errors in a schedule or failure, 2 usage.
pub fn main() -> ExitCode {
    let CommandLine { daemon, command } = parse();
    let done = match command {
        None => run::run(&daemon),
        Some(Command::Run(daemon)) => run::run(&daemon),
        Some(Command::Next(arguments)) => next::next(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Command::Check(arguments)) => check::check(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Command::Status(arguments)) => status::status(&arguments),
        Some(Command::Schedule(arguments)) => schedule::schedule(&arguments),
        Some(Command::Delayed(arguments)) => delayed::delayed(&arguments),
        Some(Command::Explain(arguments)) => explain::explain(&arguments),
        Some(Command::Completions(arguments)) => {
            generate::completions(&arguments, CommandLine::command())
        }
        Some(Command::Man(_)) => generate::man(CommandLine::command()),
        Some(Command::Quarantine(arguments)) => quarantine::quarantine(&arguments),
        Some(Command::Enqueue(arguments)) => enqueue::enqueue(&arguments),
        Some(Command::History(arguments)) => history::history(&arguments),
        Some(Command::Events(arguments)) => history::events(&arguments),
        Some(Command::Convert(arguments)) => {
            convert::convert(&arguments).map(|()| ExitCode::SUCCESS)
        }
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            // Standard error may be closed.
            let _ = writeln!(io::stderr(), "{}", render::printable(&failure.to_string()));
            failure.exit_code()
        }
    }
}

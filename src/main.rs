//! The `rescue-scheduler` program; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rescue_scheduler::cli::main()
}

//! The `rescue-scheduler` program. All of its code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rescue_scheduler::cli::main()
}

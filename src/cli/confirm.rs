//! Asks for confirmation before a change that cannot be undone.

use std::io::{self, IsTerminal as _, Write as _};

use crate::cli::failure::Failure;

/// Asks on the terminal. `yes` skips the question.
///
/// # Errors
/// [`Failure::NotConfirmed`] if there is no terminal to ask on.
pub(super) fn confirm(question: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::NotConfirmed);
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

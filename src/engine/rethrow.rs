//! The panic of a task is a bug, and the supervisor of the process restarts it.

use tokio::task::JoinError;

/// Continues the panic of a task that has ended, if it panicked.
pub(super) fn rethrow(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

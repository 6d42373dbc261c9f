//! Continues the panic of a task, which is a bug: the process ends and its supervisor restarts it.

use tokio::task::JoinError;

/// Continues the panic of a task if the task panicked.
pub(super) fn rethrow(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

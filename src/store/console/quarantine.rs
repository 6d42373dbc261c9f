//! The quarantine, for commands.

use redis::Cmd;

use crate::store::{
    console::{
        Console,
        jobs::{DelayedOutcome, Restored},
    },
    error::StoreError,
    scripts::restore,
};

/// Number of records to read with one call.
const PAGE: usize = 100;

impl Console {
    /// Calls `visit` for every record of the quarantine, oldest first, until it returns `false`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn quarantine(
        &self,
        mut visit: impl FnMut(Vec<u8>) -> bool,
    ) -> Result<(), StoreError> {
        let key = self.keys.quarantine();
        for first in (0..).step_by(PAGE) {
            let last = isize::try_from(first + PAGE - 1).unwrap_or(isize::MAX);
            let page = Cmd::lrange(&key, isize::try_from(first).unwrap_or(isize::MAX), last);
            let records: Vec<Vec<u8>> = self.connection.command(&page, &key).await?;
            let is_last = records.len() < PAGE;
            if !records.into_iter().all(&mut visit) || is_last {
                break;
            }
        }
        Ok(())
    }

    /// Takes records out of the quarantine, each in one atomic step.
    ///
    /// # Errors
    /// [`StoreError`]. After [`StoreError::Unavailable`] it may have been done.
    pub async fn restore(&self, records: &[Restored]) -> Result<Vec<DelayedOutcome>, StoreError> {
        let call = restore::call(&self.keys, records);
        let key = self.keys.quarantine();
        self.connection.script(&call, &key).await
    }
}

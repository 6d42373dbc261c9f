//! Records of entries, for commands.

use std::collections::HashMap;

use crate::store::{
    console::{Console, history::FireRecord},
    error::StoreError,
    port::records::Records,
    record_reader::RecordReader,
};

impl Console {
    /// Reads the records of all entries, or of the named ones.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn records(&self, names: Option<&[String]>) -> Result<Records, StoreError> {
        self.reader().records(names).await
    }

    /// Returns the newest record in the history of each of these entries, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_records(
        &self,
        names: &[String],
    ) -> Result<HashMap<String, FireRecord>, StoreError> {
        self.reader().last_records(names).await
    }

    fn reader(&self) -> RecordReader<'_> {
        RecordReader {
            connection: &self.connection,
            keys: &self.keys,
        }
    }
}

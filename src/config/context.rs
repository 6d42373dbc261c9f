//! What decides about the meaning of schedule files from outside of them.

use crate::core::time::zone::Zone;

/// What decides about the meaning of schedule files from outside of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// The environment whose entries are loaded. Without one, only entries that name none are.
    pub environment: Option<String>,
    /// The zone of cron expressions where no file says otherwise.
    pub zone: Zone,
}

/// No environment, and UTC.
impl Default for Context {
    fn default() -> Self {
        Self {
            environment: None,
            zone: Zone::UTC,
        }
    }
}

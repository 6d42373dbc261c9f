//! The settings outside of schedule files that affect their meaning.

use crate::core::time::zone::Zone;

/// The settings outside of schedule files that affect their meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// The environment whose entries are loaded. If it is `None`, only entries without an environment are loaded.
    pub environment: Option<String>,
    /// The time zone for entries if neither they nor their file name one.
    pub zone: Zone,
}

/// No environment, and the zone UTC.
impl Default for Context {
    fn default() -> Self {
        Self {
            environment: None,
            zone: Zone::UTC,
        }
    }
}

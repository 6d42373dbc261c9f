//! Size and number limits, from the command line and the environment.

use chrono::TimeDelta;
use clap::Args;

use crate::{config::settings, store::Limits};

/// Limits that keep one oversized or broken thing from stopping everything else.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(in crate::cli) struct LimitArguments {
    /// Maximum size of a delayed job; larger ones are quarantined unread. `k` and `m` are KiB and MiB
    #[arg(long, env = "MAX_ITEM_SIZE", value_name = "BYTES")]
    #[arg(default_value = "16MB", value_parser = settings::item_size)]
    max_item_size: usize,

    /// Maximum number of jobs in quarantine; when it is full, bad jobs stay in their buckets
    #[arg(long, env = "QUARANTINE_LIMIT", value_name = "NUMBER")]
    #[arg(default_value = "10000")]
    quarantine_limit: u32,

    /// Maximum number of history records per entry; 0 records no history
    #[arg(long, env = "HISTORY", value_name = "NUMBER")]
    #[arg(default_value = "50")]
    history: u32,

    /// Maximum difference between this host's clock and Redis' clock for a leader; 0 for any difference
    #[arg(long, env = "MAX_CLOCK_SKEW", value_name = "SECONDS")]
    #[arg(default_value = "30", value_parser = settings::max_clock_skew)]
    max_clock_skew: TimeDelta,
}

impl LimitArguments {
    /// Returns the limits for the store.
    pub(in crate::cli) fn limits(&self) -> Limits {
        Limits {
            item: self.max_item_size,
            quarantine: self.quarantine_limit.try_into().unwrap_or(usize::MAX),
            history: self.history.try_into().unwrap_or(usize::MAX),
            clock_skew: Some(self.max_clock_skew).filter(|it| !it.is_zero()),
        }
    }
}

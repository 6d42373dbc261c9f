//! Arguments that change what a schedule file means.

use std::path::PathBuf;

use clap::Args;

use crate::{
    config::{self, Context, Loaded, Mistakes, settings},
    core::time::zone::Zone,
};

/// Arguments that change what a schedule file means. All commands that read schedule files share them.
#[derive(Debug, Args)]
pub(in crate::cli) struct ContextArguments {
    /// Environment to load: an entry with `env` is loaded only if it names this one
    #[arg(short = 'E', long, env = "RAILS_ENV", value_name = "NAME")]
    pub(in crate::cli) environment: Option<String>,

    /// Time zone of entries that name none [default: UTC]
    #[arg(long, env = "TZ", value_name = "ZONE", value_parser = settings::zone)]
    timezone: Option<Zone>,

    /// Maximum size of a schedule file
    #[arg(
        long,
        env = "MAX_SCHEDULE_SIZE",
        value_name = "SIZE",
        default_value = "64MB"
    )]
    #[arg(value_parser = settings::size)]
    pub(in crate::cli) max_schedule_size: u64,
}

impl ContextArguments {
    pub(in crate::cli) fn context(&self) -> Context {
        Context {
            environment: self.environment.clone(),
            zone: self.zone(),
        }
    }

    pub(in crate::cli) fn load(&self, files: &[PathBuf]) -> Result<Loaded, Mistakes> {
        config::load(files, &self.context(), self.max_schedule_size)
    }

    pub(in crate::cli) fn zone(&self) -> Zone {
        self.timezone.unwrap_or(Zone::UTC)
    }
}

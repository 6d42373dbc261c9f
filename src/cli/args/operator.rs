//! Arguments of every command that connects to Redis.

use clap::Args;

use crate::{cli::args::address::RedisArguments, control::Actor};

/// Where to ask, and how to answer.
#[derive(Debug, Args)]
pub(in crate::cli) struct OperatorArguments {
    /// Print one JSON document in place of a table
    #[arg(long)]
    pub(in crate::cli) json: bool,

    #[command(flatten)]
    pub(in crate::cli) redis: RedisArguments,
}

/// Who does it, and why; both are recorded in the events.
#[derive(Debug, Args)]
pub(in crate::cli) struct ActorArguments {
    /// Why you do this; recorded in the events
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Who you are; recorded in the events [default: USER@HOST]
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,

    /// Returns the user's name from the environment of the shell.
    #[arg(long, env = "USER", hide = true)]
    user: Option<String>,
}

impl ActorArguments {
    pub(in crate::cli) fn actor(&self) -> Actor {
        let name = self.actor.clone().unwrap_or_else(|| {
            let user = self.user.as_deref().unwrap_or("unknown");
            format!("{user}@{}", gethostname::gethostname().to_string_lossy())
        });
        Actor {
            name,
            reason: self.reason.clone(),
        }
    }
}

//! Runs the requests of a command to Redis.

use tokio::runtime::Builder;

use crate::{
    cli::{args::operator::OperatorArguments, failure::Failure},
    control::ControlError,
    store::Console,
};

/// Connects, runs a request, and closes the connection.
pub(super) fn ask<T>(
    arguments: &OperatorArguments,
    question: impl AsyncFnOnce(&Console) -> Result<T, ControlError>,
) -> Result<T, Failure> {
    let redis = &arguments.redis;
    let console = Console::open(&redis.address()?, redis.keys())?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(question(&console));
    // Does not wait for the lookup of a host name, which may hang.
    runtime.shutdown_background();
    Ok(answer?)
}

//! How commands ask Redis.

use tokio::runtime::Builder;

use crate::{
    cli::{args::operator::OperatorArguments, failure::Failure},
    control::ControlError,
    store::Console,
};

/// Asks a question, or does something, with a connection that lasts until it is answered.
pub(super) fn ask<T>(
    arguments: &OperatorArguments,
    question: impl AsyncFnOnce(&Console) -> Result<T, ControlError>,
) -> Result<T, Failure> {
    let redis = &arguments.redis;
    let console = Console::open(&redis.address()?, redis.keys())?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(question(&console));
    // A host name's lookup may still hang in it.
    runtime.shutdown_background();
    Ok(answer?)
}

//! `--dev`: a private redis-server for a first try, and the command that shows its jobs.

use std::io;

use chrono::{DateTime, Utc};

use crate::{
    core::{firing::upcoming::upcoming, schedule::Schedule},
    store::{Keys, Listen, PrivateServer},
};

/// Starts the private redis-server.
///
/// The server stops and its data is removed when the returned value is dropped or this process is killed.
pub(super) fn start() -> io::Result<PrivateServer> {
    PrivateServer::start(Listen::Port)
}

/// Returns the text that says where the private Redis is and how to see the next job of `schedule`.
pub(super) fn explanation(
    url: &str,
    keys: &Keys,
    schedule: &Schedule,
    now: DateTime<Utc>,
) -> String {
    let entries: Vec<_> = schedule.entries().cloned().collect();
    let next = upcoming(&entries, now).next();
    let look = match next {
        Some((_, entry)) => {
            // Quoted for a shell.
            let queue = keys.queue(entry.job.queue()).replace('\'', r"'\''");
            format!("redis-cli -u {url} lrange '{queue}' 0 -1")
        }
        None => format!("redis-cli -u {url} keys '*'"),
    };
    format!(
        "
rescue-scheduler is running. Its private Redis is at {url}
To see the jobs that wait for a worker, type in another terminal:

    {look}

Ctrl-C stops the scheduler and removes the private Redis with its data.

"
    )
}

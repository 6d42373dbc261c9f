//! `--dev`: a private redis-server for a first try, and what to type to see that it works.

use std::io::{self, Write as _};

use crate::{
    core::schedule::Schedule,
    store::{Listen, PrivateServer},
};

/// Starts the private redis-server. It ends, with its data, when the returned value is dropped or
/// this process is killed.
pub(super) fn start() -> io::Result<PrivateServer> {
    PrivateServer::start(Listen::Port)
}

/// Writes to standard error where the private Redis is, and how to see a job of `schedule`.
pub(super) fn explain(server: &PrivateServer, schedule: &Schedule) {
    let text = explanation(server.url(), schedule);
    // It is a courtesy: the scheduler works without a reader.
    let _ = io::stderr().write_all(text.as_bytes());
}

fn explanation(url: &str, schedule: &Schedule) -> String {
    let look = match schedule.entries().next() {
        Some(entry) => format!(
            "redis-cli -u {url} lrange 'resque:queue:{}' 0 -1",
            entry.job.queue()
        ),
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

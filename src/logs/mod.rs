//! Sets up the log: text, JSON or logfmt, to standard error or a file. Times are RFC 3339 in UTC.
//!
//! Logging never waits for a pipe or a disk, because a thread writes the lines.

mod plain;
mod queue;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fs::File,
    io::{self, Write},
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    panic,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
};
use tracing::warn;
use tracing_subscriber::{
    Layer, Registry, filter::LevelFilter, fmt, fmt::writer::MakeWriter, layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::logs::{plain::plain, queue::Queue};

/// Format of a log line. The names are those of resque-scheduler's `LOGFORMAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
    /// `key=value` pairs.
    Logfmt,
}

/// The log of this process, and its standard error. Clones share them.
#[derive(Debug, Clone)]
pub struct Logs {
    lines: Queue,
    /// The queue of standard error: the same as `lines`, or one that starts at its first use.
    errors: Arc<OnceLock<Queue>>,
}

/// Sends log lines of `level` and worse to `file` (appended), or to standard error if there is none.
///
/// Also installs a panic hook that writes the message to standard error without waiting for it.
///
/// # Errors
/// If the file cannot be opened, or the system cannot start a thread.
pub fn start(format: Format, level: LevelFilter, file: Option<&Path>) -> io::Result<Logs> {
    let errors = OnceLock::new();
    let (lines, colour) = if let Some(path) = file {
        let file = open(path)?;
        (Queue::start(file, report_dropped)?, false)
    } else {
        let lines = standard_error()?;
        let _ = errors.set(lines.clone());
        let choice = AutoStream::choice(&io::stderr());
        (lines, choice != ColorChoice::Never)
    };
    let writer = Lines {
        queue: lines.clone(),
        colour,
    };
    // The subscriber writes its internal errors to standard error, and the caller would wait for that.
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text => {
            let text = fmt::layer().with_target(false).with_ansi(colour);
            text.with_writer(writer).log_internal_errors(false).boxed()
        }
        Format::Json => {
            let json = fmt::layer().json().flatten_event(true).with_target(false);
            json.with_writer(writer).log_internal_errors(false).boxed()
        }
        Format::Logfmt => {
            let logfmt = tracing_logfmt::builder().with_target(false).layer();
            logfmt
                .with_writer(writer)
                .log_internal_errors(false)
                .boxed()
        }
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(level))
        .init();
    let errors = Arc::new(errors);
    let logs = Logs { lines, errors };
    logs.clone().take_panics();
    Ok(logs)
}

/// Opens a file to append to. Refuses a pipe without a reader, because opening it would wait for one.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let options = options.append(true).create(true);
    let opened = options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    let file =
        opened.map_err(
            |error| match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                Errno::ENXIO => io::Error::other("it is a pipe or a socket that nobody reads"),
                _ => error,
            },
        )?;
    // The writing thread may wait for the reader, so O_NONBLOCK is removed.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    Ok(file)
}

impl Logs {
    /// Queues `text` for standard error. Does not wait.
    pub fn say(&self, text: &str) {
        // If the thread cannot start, the text is lost: writing it here could wait.
        if let Some(errors) = self.errors() {
            errors.push(text.as_bytes());
        }
    }

    /// Waits until everything is written, for `limit` at most per queue.
    pub fn flush(&self, limit: Duration) {
        self.lines.flush(limit);
        if let Some(errors) = self.errors.get() {
            errors.flush(limit);
        }
    }

    fn errors(&self) -> Option<&Queue> {
        if self.errors.get().is_none() {
            let _ = self.errors.set(standard_error().ok()?);
        }
        self.errors.get()
    }

    /// Installs a panic hook that does not wait for standard error: the process must end even if nobody reads the
    /// pipe.
    fn take_panics(self) {
        panic::set_hook(Box::new(move |panic| {
            let trace = Backtrace::capture();
            self.say(&match trace.status() {
                BacktraceStatus::Captured => format!("{panic}\n{trace}\n"),
                _ => format!("{panic}\n"),
            });
            self.flush(Duration::from_millis(250));
        }));
    }
}

/// Starts a queue to a copy of standard error. `io::stderr` would hold its lock while the pipe is full.
fn standard_error() -> io::Result<Queue> {
    let pipe = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    Queue::start(pipe, report_dropped)
}

fn report_dropped(lines: u64) {
    warn!(lines, "dropped log lines that could not be written in time");
}

/// A writer for formatted log lines. Each call of `write` gets one line.
#[derive(Debug, Clone)]
struct Lines {
    queue: Queue,
    colour: bool,
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.queue.push(plain(&text, self.colour).as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}

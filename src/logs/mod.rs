//! Where log lines go, and how they look: text, JSON or logfmt; times in RFC 3339, UTC.
//!
//! Whoever logs never waits for the pipe or the disk: a thread writes the lines.

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

/// How a log line looks. The names are those of resque-scheduler's `LOGFORMAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// `key=value` pairs.
    Logfmt,
}

/// The log of this process, and its standard error. Clones share them.
#[derive(Debug, Clone)]
pub struct Logs {
    lines: Queue,
    /// The queue of standard error: that of the log, or one that starts when it is needed.
    errors: Arc<OnceLock<Queue>>,
}

/// Sends all log lines of `level` and worse to `file` (appended to), or to standard error. From now on, the
/// message of a panic goes to standard error without waiting for it, too.
///
/// # Errors
/// If the file cannot be opened.
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
    // Internal errors would be written to standard error, and whoever logs would wait for it.
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

/// Opens a file to append to. A pipe that nobody reads is refused: opening it would wait for a reader.
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
    // The thread that writes waits for whoever reads.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    Ok(file)
}

impl Logs {
    /// Writes `text` to standard error, after what was written there before, without waiting.
    pub fn say(&self, text: &str) {
        // Without a thread there is no way to write without waiting.
        if let Some(errors) = self.errors() {
            errors.push(text.as_bytes());
        }
    }

    /// Waits until everything is written, at most for `limit`.
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

    /// A loop that panics must not wait for a pipe that nobody reads: the process is to end.
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

/// Not through `io::stderr`, whose lock would be held while the pipe is full.
fn standard_error() -> io::Result<Queue> {
    let pipe = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    Queue::start(pipe, report_dropped)
}

fn report_dropped(lines: u64) {
    warn!(lines, "dropped log lines that could not be written in time");
}

/// Takes formatted log lines, each in one call.
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

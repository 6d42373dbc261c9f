//! Where log lines go, and how they look: text, JSON or logfmt; times in RFC 3339, UTC.

use std::{
    fs::File,
    io::{self, IsTerminal},
    path::Path,
    sync::Mutex,
};

use clap::ValueEnum;
use tracing_subscriber::{
    Layer, Registry,
    filter::LevelFilter,
    fmt::{self, writer::BoxMakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

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

/// Sends all log lines of `level` and worse to `file` (appended to), or to standard error.
///
/// # Errors
/// Where the file can't be opened.
pub fn start(format: Format, level: LevelFilter, file: Option<&Path>) -> io::Result<()> {
    let (writer, colour) = match file {
        Some(path) => {
            let file = File::options().append(true).create(true).open(path)?;
            (BoxMakeWriter::new(Mutex::new(file)), false)
        }
        None => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
    };
    // A log that can't be written is no reason to stop: internal errors would go to standard error,
    // and panic if that is closed.
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
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
        .with(lines.with_filter(level))
        .init();
    Ok(())
}

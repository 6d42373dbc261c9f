//! Output of commands: data to standard output, everything else to standard error.

pub(super) mod table;
pub(super) mod times;

use std::{
    collections::BTreeMap,
    io::{self, BufWriter, StdoutLock, Write as _},
    process::ExitCode,
};

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use serde::Serialize;

use crate::cli::{failure::Failure, render::table::Table};

/// Calls `write` with standard output. A closed pipe is no error: readers such as `head` close it early.
pub(super) fn print(write: impl FnOnce(&mut Output) -> io::Result<()>) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    match write(&mut output).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

pub(super) type Output = BufWriter<StdoutLock<'static>>;

/// Formats a local time with its weekday and UTC offset.
pub(super) fn time(local: DateTime<FixedOffset>) -> String {
    local.format("%a %Y-%m-%d %H:%M:%S %:z").to_string()
}

/// Formats an instant as RFC 3339 in UTC, in whole seconds.
pub(super) fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The exit code if a change was not confirmed.
pub(super) const NOT_CONFIRMED: u8 = 2;

/// Number of matching jobs that are printed before a change.
pub(super) const EXAMPLES: usize = 3;

/// Exit code of an answer that reports a problem.
pub(super) const PROBLEM: u8 = 10;

/// The exit code if nothing matched.
pub(super) const NOTHING: u8 = 3;

/// A JSON document.
#[derive(Serialize)]
struct Document<'a, T> {
    schema_version: u8,
    #[serde(flatten)]
    answer: &'a T,
}

/// Prints an answer as one JSON document.
pub(super) fn json(answer: &impl Serialize) -> io::Result<()> {
    let document = Document {
        schema_version: 1,
        answer,
    };
    print(|output| {
        serde_json::to_writer_pretty(&mut *output, &document)?;
        output.write_all(b"\n")
    })
}

/// Prints text.
pub(super) fn text(text: &str) -> io::Result<()> {
    print(|output| output.write_all(text.as_bytes()))
}

/// Prints an answer as JSON, or as text for people.
pub(super) fn answer(as_json: bool, answer: &impl Serialize, for_people: &str) -> io::Result<()> {
    if as_json {
        json(answer)
    } else {
        text(for_people)
    }
}

/// Prints each item as a JSON line. Returns the exit code.
pub(super) fn json_lines(items: &[impl Serialize]) -> Result<ExitCode, Failure> {
    print(|output| {
        for item in items {
            serde_json::to_writer(&mut *output, item)?;
            output.write_all(b"\n")?;
        }
        Ok(())
    })?;
    Ok(code(items.is_empty()))
}

/// Prints a list as a JSON document with one field of that name, or as a table. Returns the exit code.
pub(super) fn list(
    as_json: bool,
    name: &str,
    items: &[impl Serialize],
    table: &Table,
) -> Result<ExitCode, Failure> {
    let field = BTreeMap::from([(name, items)]);
    if as_json || !table.is_empty() {
        answer(as_json, &field, &table.to_string())?;
    } else {
        note("nothing matched")?;
    }
    Ok(code(items.is_empty()))
}

pub(super) fn code(nothing: bool) -> ExitCode {
    if nothing {
        ExitCode::from(NOTHING)
    } else {
        ExitCode::SUCCESS
    }
}

/// Prints a message for people to standard error.
pub(super) fn note(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{}", printable(text))
}

/// Warns that what was done is not in the events.
pub(super) fn unrecorded(reason: Option<&str>) -> io::Result<()> {
    reason.map_or(Ok(()), |it| {
        note(&format!(
            "warning: done, but not recorded in the events: {it}"
        ))
    })
}

/// Returns the text without control characters, except line breaks, because it may hold names that anybody wrote into Redis.
pub(super) fn printable(text: &str) -> String {
    text.replace(
        |letter: char| letter.is_control() && letter != '\n',
        "\u{fffd}",
    )
}

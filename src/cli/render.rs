//! Output to standard output, and tables for people.

use std::{
    fmt::Write as _,
    io::{self, BufWriter, StdoutLock, Write as _},
};

use chrono::{DateTime, FixedOffset};

/// Calls `write` with standard output. A closed pipe is no error: readers such as `head` close it early.
pub(super) fn print(write: impl FnOnce(&mut Output) -> io::Result<()>) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    match write(&mut output).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

pub(super) type Output = BufWriter<StdoutLock<'static>>;

/// Formats rows as aligned columns, two spaces apart. Replaces control characters, so that each row is one line.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let printable = |row: &[String; N]| {
        let cells = row.each_ref();
        cells.map(|cell| cell.replace(char::is_control, "\u{fffd}"))
    };
    let rows: Vec<_> = rows.iter().map(printable).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Formats a local time with its weekday and UTC offset.
pub(super) fn time(local: DateTime<FixedOffset>) -> String {
    local.format("%a %Y-%m-%d %H:%M:%S %:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_control_characters_replaced() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [
            row(["every", "é", ""]),
            row(["a\nb", "12 m", "q"]),
            row(["", "", ""]),
        ];
        let expected = "every  é\na\u{fffd}b    12 m  q\n\n";
        assert_eq!(columns(&rows), expected);
    }
}

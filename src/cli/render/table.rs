//! Tables: capital headers, no borders, two spaces between columns, never cut.

use std::fmt;

use comfy_table::{ContentArrangement, presets::NOTHING};

/// A table that grows row by row.
pub(in crate::cli) struct Table(comfy_table::Table);

impl Table {
    /// Creates a table with these headers, or without headers.
    pub(in crate::cli) fn new<const N: usize>(headers: [&str; N]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        if N > 0 {
            table.set_header(headers);
        }
        Self(table)
    }

    /// Adds a row. Replaces control characters, so that a row stays one line.
    pub(in crate::cli) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        let cells = cells.map(|cell| cell.replace(char::is_control, "\u{fffd}"));
        self.0.add_row(cells);
    }

    /// Whether the table has no rows.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        self.0.row_count() == 0
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = self.0.clone();
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for line in table.lines() {
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_below_each_other_whatever_is_in_them() {
        let mut table = Table::new(["ENTRY", "NEXT", ""]);
        table.row(["é", "in 12 m", "q"]);
        table.row(["a\nb", "", ""]);
        let expected = "ENTRY  NEXT\né      in 12 m  q\na\u{fffd}b\n";
        assert_eq!(table.to_string(), expected);
    }
}

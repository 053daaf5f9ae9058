//! What a section found: Markdown for people, and rows for the table of all.

use std::fmt::{self, Write};

use crate::contestant::Library;

/// What one section found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    text: String,
    rows: Vec<Row>,
}

/// One row of the table of all: a cell for each library that has one.
#[derive(Clone, Debug)]
pub struct Row {
    what: String,
    cells: Vec<(Library, String)>,
    target: String,
    met: Option<bool>,
}

impl Row {
    /// What was measured, and what was aimed at.
    pub fn new(what: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            cells: Vec::new(),
            target: target.into(),
            met: None,
        }
    }

    /// What it is for this library.
    #[must_use]
    pub fn cell(mut self, library: Library, text: impl fmt::Display) -> Self {
        self.cells.push((library, text.to_string()));
        self
    }

    /// Whether the aim is reached.
    #[must_use]
    pub fn met(mut self, met: bool) -> Self {
        self.met = Some(met);
        self
    }
}

impl Report {
    /// Adds a table.
    pub fn table(&mut self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        self.paragraph(&table(head, rows));
    }

    /// Adds a paragraph.
    pub fn paragraph(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// Adds a row to the table of all.
    pub fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// The Markdown.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The rows, as [`summary`] reads them.
    pub fn lines(&self) -> String {
        let mut lines = String::new();
        for row in &self.rows {
            let met = match row.met {
                None => "",
                Some(true) => "yes",
                Some(false) => "**no**",
            };
            let _ = write!(lines, "{}\t{}\t{met}", row.what, row.target);
            for library in Library::ALL {
                let cell = row.cells.iter().find(|cell| cell.0 == library);
                let _ = write!(lines, "\t{}", cell.map_or("", |cell| &cell.1));
            }
            lines.push('\n');
        }
        lines
    }
}

/// A table in Markdown.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n", head.join(" | "));
    text.push_str(&format!("| {} |\n", vec!["---"; head.len()].join(" | ")));
    for row in rows {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}

/// The table of all, from the lines of all reports.
pub fn summary(lines: &str, columns: &[Library], with_target: bool) -> String {
    let mut head = vec!["what"];
    if with_target {
        head.extend(["aim", "reached"]);
    }
    head.extend(columns.iter().map(|library| library.name()));
    let rows = lines.lines().map(|line| {
        let mut fields = line.split('\t').map(str::to_owned);
        let what = fields.next().unwrap_or_default();
        let target: Vec<String> = fields.by_ref().take(2).collect();
        let cells: Vec<String> = fields.collect();
        let mut row = vec![what];
        if with_target {
            row.extend(target);
        }
        row.extend(columns.iter().map(|library| {
            let place = Library::ALL.iter().position(|other| other == library);
            let cell = place
                .and_then(|place| cells.get(place))
                .filter(|cell| !cell.is_empty());
            cell.map_or_else(|| "–".to_owned(), Clone::clone)
        }));
        row
    });
    table(&head, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_a_table() {
        let mut report = Report::default();
        report.row(
            Row::new("hot", "at most 35 ns")
                .cell(Library::Floor, "20 ns")
                .cell(Library::GceAuth, "30 ns")
                .met(true),
        );
        let columns = [Library::GceAuth, Library::Floor, Library::GcpAuth];
        assert_eq!(
            summary(&report.lines(), &columns, true),
            "| what | aim | reached | gce-auth | floor | gcp_auth |\n\
             | --- | --- | --- | --- | --- | --- |\n\
             | hot | at most 35 ns | yes | 30 ns | 20 ns | – |\n"
        );
    }
}

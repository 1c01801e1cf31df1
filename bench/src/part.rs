//! What a measurement has to say: a part of the page.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::machine::Machine;

/// One measurement's tables, targets and curves.
#[derive(Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) title: String,
    /// What was done, in paragraphs.
    pub(crate) text: Vec<String>,
    pub(crate) tables: Vec<Table>,
    pub(crate) targets: Vec<Target>,
    pub(crate) curves: Vec<Curve>,
}

/// A table of text; the first column says what a row is.
#[derive(Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// A target of ours.
#[derive(Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) aim: String,
    pub(crate) got: String,
    pub(crate) met: bool,
}

/// A line or a bar of the plot: a figure for each label.
#[derive(Serialize, Deserialize)]
pub(crate) struct Curve {
    pub(crate) panel: Panel,
    pub(crate) name: String,
    pub(crate) points: Vec<(String, f64)>,
}

/// Which of the plot's pictures a curve belongs to.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Panel {
    /// Real users of a hundred that get in, by the packets a second of a flood.
    Flood,
    /// Microseconds until the port is open.
    Open,
}

/// A part as it is kept between a measurement and the page.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) part: Part,
    pub(crate) machine: Machine,
}

impl Part {
    pub(crate) fn new(title: &str, text: &[&str]) -> Self {
        let text = text.iter().map(|&text| text.to_owned()).collect();
        Self { title: title.to_owned(), text, tables: Vec::new(), targets: Vec::new(), curves: Vec::new() }
    }

    pub(crate) fn target(&mut self, what: &str, aim: &str, got: String, met: bool) {
        self.targets.push(Target { what: what.to_owned(), aim: aim.to_owned(), got, met });
    }

    /// As it is printed.
    pub(crate) fn print(&self) {
        println!("\n{}\n", self.title);
        self.tables.iter().for_each(|table| println!("{}", table.text()));
        for Target { what, aim, got, met } in &self.targets {
            println!("{}  {what}, {aim}: {got}", if *met { "met   " } else { "MISSED" });
        }
    }
}

impl Table {
    pub(crate) fn new<T: ToString>(head: impl IntoIterator<Item = T>) -> Self {
        Self { head: head.into_iter().map(|cell| cell.to_string()).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, label: &str, cells: impl IntoIterator<Item = String>) {
        self.rows.push(std::iter::once(label.to_owned()).chain(cells).collect());
    }

    /// Columns that line up.
    fn text(&self) -> String {
        let all: Vec<&Vec<String>> = std::iter::once(&self.head).chain(&self.rows).collect();
        let width = |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let line = |row: &&Vec<String>| {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let width = width(column).unwrap_or_default();
                if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") }
            });
            cells.collect::<String>().trim_end().to_owned() + "\n"
        };
        all.iter().map(line).collect()
    }

    /// The same for the page.
    pub(crate) fn markdown(&self) -> String {
        let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
        let rule: String =
            self.head.iter().enumerate().map(|(column, _)| if column == 0 { "|---" } else { "|--:" }).collect();
        format!("{}{rule}|\n{}", line(&self.head), self.rows.iter().map(line).collect::<String>())
    }
}

impl Kept {
    fn path(directory: &Path, name: &str) -> PathBuf {
        directory.join(format!("{name}.json"))
    }

    pub(crate) fn save(&self, directory: &Path, name: &str) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::Program(error.to_string()))?;
        let written = fs::create_dir_all(directory).and_then(|()| fs::write(Self::path(directory, name), text));
        written.map_err(Error::io(format!("write to {}", directory.display())))
    }

    /// None if there is none, or another version has made it.
    pub(crate) fn load(directory: &Path, name: &str) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(Self::path(directory, name)).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["", "Klopf", "knockd"]);
        table.row("median, µs", ["0.50".to_owned(), "100".to_owned()]);
        table
    }

    #[test]
    fn a_printed_table_lines_up() {
        assert_eq!(table().text(), "            Klopf  knockd\nmedian, µs   0.50     100\n");
    }

    #[test]
    fn a_table_of_the_page_is_markdown() {
        assert_eq!(table().markdown(), "|  | Klopf | knockd |\n|---|--:|--:|\n| median, µs | 0.50 | 100 |\n");
    }
}

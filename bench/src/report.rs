//! What is printed: facts of the machine, a table, and whether the targets are met.

use std::fs;
use std::thread::available_parallelism;

use crate::daemon::Program;

/// What one measurement has to say.
pub(crate) struct Table {
    pub(crate) title: &'static str,
    pub(crate) names: Vec<&'static str>,
    pub(crate) rows: Vec<Row>,
}

/// One row: a figure for each column, ours first. Less is better.
pub(crate) struct Row {
    pub(crate) label: &'static str,
    pub(crate) cells: Vec<Cell>,
}

#[derive(Clone, Copy)]
pub(crate) enum Cell {
    Figure(f64),
    /// A figure without decimals.
    Whole(f64),
    Count(u32),
    /// So many of so many.
    Of(usize, usize),
    /// Not measured.
    Missing,
}

/// A target of ours.
pub(crate) struct Target {
    pub(crate) text: String,
    pub(crate) met: bool,
}

/// Cores, kernel, versions.
pub(crate) fn facts(programs: &[Program]) {
    let cores = available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("machine: {cores} cores, {}, Linux {}", model.map_or("unknown", |(_, name)| name), kernel.trim());
    println!("load:    {}", load.split_whitespace().take(3).collect::<Vec<_>>().join(" "));
    for program in programs {
        println!("{:<8} {} ({})", format!("{}:", program.name), program.version, program.path.display());
    }
    if cfg!(debug_assertions) {
        println!("note:    a debug build; use --release for figures that count");
    }
    println!();
}

/// The table, with a column of ratios when there are two programs.
pub(crate) fn table(Table { title, names, rows }: &Table) -> String {
    let mut lines = vec![row(title, names.iter().map(|&name| name.to_owned()), ratio_head(names))];
    for Row { label, cells } in rows {
        lines.push(row(label, cells.iter().map(|cell| cell.text()), ratio(cells)));
    }
    lines.concat()
}

/// Says for each target whether it is met; true when all are.
pub(crate) fn verdict(targets: &[Target]) -> bool {
    println!();
    for target in targets {
        println!("{}  {}", if target.met { "met   " } else { "MISSED" }, target.text);
    }
    targets.iter().all(|target| target.met)
}

/// The value that `percent` of the samples do not exceed (nearest rank); 0 without samples.
pub(crate) fn percentile(samples: &[f64], percent: usize) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

impl Cell {
    fn text(self) -> String {
        match self {
            Self::Figure(value) => format!("{value:.2}"),
            Self::Whole(value) => format!("{value:.0}"),
            Self::Count(count) => count.to_string(),
            Self::Of(count, all) => format!("{count}/{all}"),
            Self::Missing => "-".to_owned(),
        }
    }
}

fn ratio_head(names: &[&str]) -> String {
    match names {
        [ours, other] => format!("{other}/{ours}"),
        _ => String::new(),
    }
}

fn ratio(cells: &[Cell]) -> String {
    match cells {
        [Cell::Figure(ours), Cell::Figure(other)] if *ours > 0.0 => format!("{:.1}", other / ours),
        _ => String::new(),
    }
}

fn row(label: &str, cells: impl Iterator<Item = String>, ratio: String) -> String {
    let cells: String = cells.chain([ratio]).map(|cell| format!("{cell:>16}")).collect();
    format!("{label:<46}{cells}").trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([50, 90, 99, 100].map(|percent| percentile(&samples, percent)), [50.0, 90.0, 99.0, 100.0]);
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 50), 2.0);
        assert_eq!(percentile(&[7.0], 99), 7.0);
        assert_eq!(percentile(&[], 50), 0.0);
    }

    #[test]
    fn the_table_lines_up() {
        let rows = vec![
            Row { label: "time, s", cells: vec![Cell::Figure(0.5), Cell::Figure(100.0)] },
            Row { label: "opened", cells: vec![Cell::Of(1, 1), Cell::Of(0, 1)] },
        ];
        let text = table(&Table { title: "", names: vec!["klopf", "knockd"], rows });
        let ends: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(ends[0], ["klopf", "knockd", "knockd/klopf"]);
        assert_eq!(ends[1], ["time,", "s", "0.50", "100.00", "200.0"]);
        assert_eq!(ends[2], ["opened", "1/1", "0/1"]);
    }
}

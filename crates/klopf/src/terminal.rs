//! Texts as wide as the terminal.

/// The columns of standard output, as far as lines are read well; 80 where nobody knows.
#[cfg(target_os = "linux")]
pub(crate) fn width() -> usize {
    /// A narrower terminal breaks the lines by itself.
    const LEAST: usize = 60;
    const MOST: usize = 110;
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    let columns = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    columns.filter(|columns| *columns > 0).or_else(told).unwrap_or(80).clamp(LEAST, MOST)
}

/// Breaks a text between words.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Columns under their heads, and an empty line.
pub(crate) fn table<const N: usize>(text: &mut String, heads: [&str; N], rows: Vec<[String; N]>) {
    let heads = heads.map(str::to_owned);
    let mut widths = [0; N];
    for row in std::iter::once(&heads).chain(&rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in std::iter::once(&heads).chain(&rows) {
        let line: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  ")).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_between_words() {
        assert_eq!(wrapped("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrapped("abcdefgh i", 4), ["abcdefgh", "i"]);
    }
}

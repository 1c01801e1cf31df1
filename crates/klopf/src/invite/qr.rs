//! QR codes for terminals.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

/// Light modules around the code, without which it is not found (ISO/IEC 18004, section 5.3.8).
const QUIET: usize = 4;
/// White on black, whatever the terminal's colours are.
const COLOURS: (&str, &str) = ("\x1b[38;5;231;48;5;16m", "\x1b[0m");

/// A text as a QR code, a line for two rows of modules; the light ones are drawn, so that it is right on a dark terminal without
/// colours, too. Nothing if the text is too long for any.
pub(super) fn drawn(text: &str) -> Option<Zeroizing<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width() + 2 * QUIET;
    let modules = Zeroizing::new(code.to_colors().iter().map(|module| *module == Color::Dark).collect::<Vec<_>>());
    let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < code.width());
    let light = |x: usize, y: usize| match (inside(x), inside(y)) {
        (Some(x), Some(y)) => modules.get(y * code.width() + x) != Some(&true),
        _ => true,
    };
    let mut lines = Zeroizing::new(String::with_capacity(width * width * 2));
    for y in (0..width).step_by(2) {
        let row: String = (0..width).map(|x| half_blocks(light(x, y), light(x, y + 1))).collect();
        let _ = writeln!(lines, "{}{row}{}", COLOURS.0, COLOURS.1);
    }
    Some(lines)
}

/// The columns that it takes.
pub(super) fn columns(drawn: &str) -> usize {
    drawn.lines().next().map_or(0, |line| line.chars().filter(|c| is_module(*c)).count())
}

const fn half_blocks(upper: bool, lower: bool) -> char {
    match (upper, lower) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}

fn is_module(c: char) -> bool {
    "█▀▄ ".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads what stands on a terminal whose drawn and undrawn halves look so, a module of 4 pixels each way.
    fn scanned(drawn: &str, light: u8, dark: u8) -> Vec<String> {
        const SCALE: usize = 4;
        let mut rows = Vec::new();
        for line in drawn.lines() {
            let cells: Vec<char> = line.chars().filter(|c| is_module(*c)).collect();
            for half in ["█▀", "█▄"] {
                rows.push(cells.iter().map(|c| if half.contains(*c) { light } else { dark }).collect::<Vec<u8>>());
            }
        }
        let (width, height) = (rows[0].len() * SCALE, rows.len() * SCALE);
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| rows[y / SCALE][x / SCALE]);
        image.detect_grids().iter().map(|grid| grid.decode().unwrap().1).collect()
    }

    #[test]
    fn a_code_scans_and_fits_a_terminal() {
        for length in [10, 208, 250, 300, 400] {
            let text = format!("klopf:{}", "aB3_-".repeat(length / 5));
            let drawn = drawn(&text).unwrap();
            assert_eq!(scanned(&drawn, 255, 0), [text], "{length}");
            assert!(columns(&drawn) <= 80, "{length}: {} columns", columns(&drawn));
            assert!(drawn.lines().all(|line| line.starts_with(COLOURS.0) && line.ends_with(COLOURS.1)));
        }
        assert_eq!(drawn(&"x".repeat(3000)), None);
    }
}

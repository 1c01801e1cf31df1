//! Faults that show their place.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Renderer, Snippet};

/// More faults than this are not collected: nobody mends more at a time, and each holds a copy of its line.
pub(crate) const MAX_FAULTS: usize = 100;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The file is not taken.
    Error,
    /// The file is taken, but hardly meant so.
    Warning,
}

/// A fault or a warning. `Display` shows it with `file:line:column`, the line, a caret and a line of help, without
/// colour and without a newline at the end. Control characters of the file are escaped in all texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Fault or warning.
    pub level: Level,
    /// The file's name as given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub help: String,
    /// The line it is in.
    pub(crate) excerpt: String,
    /// Characters to underline.
    pub(crate) width: usize,
}

impl Fault {
    /// As `Display`, with terminal colours.
    #[must_use]
    pub fn coloured(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let level = match self.level {
            Level::Error => annotate_snippets::Level::ERROR,
            Level::Warning => annotate_snippets::Level::WARNING,
        };
        let first = self.column.saturating_sub(1);
        let span = byte_of(&self.excerpt, first)..byte_of(&self.excerpt, first.saturating_add(self.width));
        let place = Snippet::source(self.excerpt.as_str())
            .path(self.file.as_str())
            .line_start(self.line)
            .annotation(AnnotationKind::Primary.span(span));
        let help = annotate_snippets::Level::HELP.message(self.help.as_str());
        renderer.render(&[level.primary_title(self.text.as_str()).element(place).element(help)])
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

/// All faults of a configuration, by file and in file order, at least one and at most a hundred. `Display` shows them with an empty line
/// between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    /// The single faults.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    /// As `Display`, with terminal colours.
    #[must_use]
    pub fn coloured(&self) -> String {
        self.0.iter().map(Fault::coloured).collect::<Vec<_>>().join("\n\n")
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "\n\n" })?;
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Text for a message: what could move the cursor or turn the line round is written as `\u{..}`.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// A line for an excerpt: one character for one, so that columns stay; tabs are left to the renderer.
pub(crate) fn visible(line: &str) -> String {
    line.chars()
        .map(|c| match c {
            '\t' => c,
            '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
            '\x7f' => '\u{2421}',
            c if is_hostile(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// Line from 1, column in characters from 1, the line, and the characters of `span` that are in it.
pub(crate) fn place(text: &str, span: &Range<usize>) -> (usize, usize, String, usize) {
    let start = boundary(text, span.start);
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let rest = text.get(line_start..).unwrap_or_default();
    let line = rest.split('\n').next().unwrap_or_default();
    let end = boundary(text, span.end).clamp(start, line_start + line.len().max(start - line_start));
    let column = text.get(line_start..start).unwrap_or_default().chars().count() + 1;
    let width = text.get(start..end).unwrap_or_default().chars().count().max(1);
    (before.matches('\n').count() + 1, column, visible(line.strip_suffix('\r').unwrap_or(line)), width)
}

/// The nearest character boundary at or before `at`.
pub(crate) fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

fn byte_of(text: &str, character: usize) -> usize {
    text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
}

/// Control characters, and those that change the direction or the lines of the text around them.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_characters() {
        let text = "ab\nä\u{1b}öx\r\n";
        let x = text.find('x').unwrap();
        assert_eq!(place(text, &(x..x + 1)), (2, 4, "ä␛öx".into(), 1));
        assert_eq!(place(text, &(0..text.len())), (1, 1, "ab".into(), 2));
        assert_eq!(place(text, &(text.len()..text.len())), (3, 1, String::new(), 1));
        assert_eq!(place(text, &(4..4)), (2, 1, "ä␛öx".into(), 1), "inside of a character");
    }

    #[test]
    fn hostile_characters_are_written_out() {
        assert_eq!(escaped("a\u{1b}[2J\u{202e}ü"), "a\\u{1b}[2J\\u{202e}ü");
        assert_eq!(visible("a\u{1b}\t\u{9b}\u{7f}\u{202e}ü"), "a␛\t\u{fffd}␡\u{fffd}ü");
    }
}

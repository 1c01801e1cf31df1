//! Lines of plain text: quoted, flowed, and with characters that look like others.

/// White space of all kinds becomes a space, and what is not seen at all goes away.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .filter(|letter| !matches!(letter, '\r' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'))
        .map(|letter| if letter.is_whitespace() && letter != '\n' { ' ' } else { letter })
        .collect()
}

/// A text without its marks of quotation.
pub(super) fn unquote(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        out.push_str(quoted(line).1);
        out.push('\n');
    }
    out
}

/// A text of format flowed (RFC 3676, section 4) as its paragraphs, without marks of quotation.
pub(super) fn unflow(text: &str, delete_space: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut depth_before = 0;
    let mut flows = false;
    for line in text.lines() {
        let (depth, line) = flowed(line);
        let line = line.strip_prefix(' ').unwrap_or(line);
        let is_signature = line == "-- ";
        if flows && (depth != depth_before || is_signature) {
            out.push('\n');
        }
        flows = line.ends_with(' ') && !is_signature;
        out.push_str(if flows && delete_space { line.strip_suffix(' ').unwrap_or(line) } else { line });
        if !flows {
            out.push('\n');
        }
        depth_before = depth;
    }
    out
}

/// How often a line is quoted, and the line itself.
fn flowed(line: &str) -> (usize, &str) {
    let rest = line.trim_start_matches('>');
    (line.len() - rest.len(), rest)
}

/// As [`flowed`], as people and other programs quote: `> > `, `>>`, `| `.
fn quoted(line: &str) -> (usize, &str) {
    let rest = line.trim_start_matches(['>', ' ', '|', '\t']);
    (line.len() - rest.len(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_space_is_one_and_what_is_not_seen_is_not_there() {
        assert_eq!(clean("a\u{a0}b\u{202f}c\td\r\ne\u{200b}f\u{ad}g"), "a b c d\nefg");
    }

    #[test]
    fn marks_of_quotation_go_away() {
        assert_eq!(unquote("> > a\n>>b\n| c\nd > e"), "a\nb\nc\nd > e\n");
    }

    #[test]
    fn flowed_lines_become_paragraphs() {
        assert_eq!(unflow("a \nb\nc", false), "a b\nc\n");
        assert_eq!(unflow("abc \ndef", true), "abcdef\n");
        assert_eq!(unflow(">a \n>b \n>>c \nd", false), "a b \nc \nd\n");
        assert_eq!(unflow("  stuffed\n>from", false), " stuffed\nfrom\n");
        assert_eq!(unflow("a \n-- \nMe", false), "a \n-- \nMe\n");
    }
}

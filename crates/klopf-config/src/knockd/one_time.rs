//! Files of one-time sequences.

use klopf_wire::Port;

use super::lines::lines;
use super::values::sequence;

/// A usable line of a one-time sequence file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTimeLine {
    /// Where the line's first byte is in the file, white space included: the byte that becomes `#` when it is used.
    pub offset: usize,
    /// Its sequence, 1 to 32 hits.
    pub ports: Vec<Port>,
}

/// The usable lines in order; comments, blank lines and those that would be a fault as a `sequence` are skipped.
#[must_use]
pub fn one_time_lines(text: &[u8]) -> Vec<OneTimeLine> {
    lines(text)
        .filter(|line| !line.text.bytes.is_empty() && !line.text.bytes.starts_with(b"#"))
        .filter_map(|line| {
            let hits = sequence("", line.text);
            hits.faults.is_empty().then_some(OneTimeLine { offset: line.offset, ports: hits.ports })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_lines_are_found() {
        let text = b"# c\n\n 2001,2002\r\n\t# 1,2\nabc\n70000\n1,,2\n5:icmp\n-1\n3001:udp:x\n5 # c\n9";
        let found: Vec<_> = one_time_lines(text).into_iter().map(|l| (l.offset, l.ports)).collect();
        assert_eq!(
            found,
            [
                (5, vec![Port::tcp(2001), Port::tcp(2002)]),
                (49, vec![Port::udp(3001)]),
                (60, vec![Port::tcp(5)]),
                (66, vec![Port::tcp(9)]),
            ]
        );
    }

    #[test]
    fn a_used_line_is_no_longer_found() {
        let mut text = b" 1,2\n3,4\n5\n".to_vec();
        for left in [2, 1, 0] {
            let first = one_time_lines(&text)[0].offset;
            text[first] = b'#';
            assert_eq!(one_time_lines(&text).len(), left);
        }
        assert_eq!(text, b"#1,2\n#,4\n#\n");
    }
}

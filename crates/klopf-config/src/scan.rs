//! Sequences that somebody may hit by chance.

use std::collections::HashMap;
use std::hash::Hash;

use klopf_wire::Port;

/// What to do about a weak sequence.
pub(crate) const HELP: &str = "take three or more ports, far apart, that do not only rise";

/// Why a port scan could hit a sequence, if it could. A scan of TCP and one of UDP may run at once, so only the numbers
/// are looked at.
#[must_use]
pub fn weakness(ports: &[Port]) -> Option<String> {
    let mut reasons = Vec::new();
    if ports.len() < 3 {
        reasons.push("it has fewer than three hits".to_owned());
    }
    let pairs = || ports.iter().zip(ports.iter().skip(1)).map(|(a, b)| (a.number, b.number));
    if ports.len() > 1 && pairs().all(|(a, b)| a <= b) {
        reasons.push("its numbers only rise".to_owned());
    }
    if let Some((a, b)) = pairs().find(|(a, b)| a.abs_diff(*b) == 1) {
        reasons.push(format!("{a} and {b} are neighbours"));
    }
    (!reasons.is_empty()).then(|| reasons.join(", "))
}

/// The doors whose sequence is, or begins with, the sequence of another: index of the door and what is to be said.
/// Only doors with the same `scope` meet.
pub(crate) fn shared<S: Hash + Eq + Copy>(doors: &[(S, &str, &[Port])]) -> Vec<(usize, String)> {
    let mut first: HashMap<(S, &[Port]), (usize, &str)> = HashMap::new();
    for (index, (scope, name, ports)) in doors.iter().enumerate() {
        first.entry((*scope, ports)).or_insert((index, name));
    }
    let mut found = Vec::new();
    for (index, (scope, name, ports)) in doors.iter().enumerate() {
        for length in 1..=ports.len() {
            let beginning = ports.get(..length).unwrap_or_default();
            match first.get(&(*scope, beginning)) {
                Some((other, _)) if *other == index => {}
                Some((_, other)) if length == ports.len() => {
                    found.push((index, format!("doors `{other}` and `{name}` have the same sequence: both open")));
                }
                Some((_, other)) => {
                    let text = format!("the sequence of `{name}` begins with that of `{other}`: it opens both");
                    found.push((index, text));
                }
                None => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(numbers: &[u16]) -> Vec<Port> {
        numbers.iter().copied().map(Port::tcp).collect()
    }

    #[test]
    fn weak_sequences_are_named() {
        for (numbers, reason) in [
            (&[42000, 23000, 1337, 40000][..], None),
            (&[7000, 9000, 8000], None),
            (&[7000], Some("it has fewer than three hits")),
            (&[7000, 9000], Some("it has fewer than three hits, its numbers only rise")),
            (&[7000, 8000, 9000], Some("its numbers only rise")),
            (&[42000, 23000, 1337], None),
            (&[7000, 7001, 500], Some("7000 and 7001 are neighbours")),
            (&[7000, 6999, 65535], Some("7000 and 6999 are neighbours")),
            (&[5, 5, 5], Some("its numbers only rise")),
        ] {
            assert_eq!(weakness(&ports(numbers)).as_deref(), reason, "{numbers:?}");
        }
        assert_eq!(weakness(&[Port::tcp(7000), Port::udp(9000), Port::tcp(8000)]), None);
    }

    #[test]
    fn shared_beginnings_are_found() {
        let (a, b, c) = (ports(&[1, 2]), ports(&[1, 2, 3]), ports(&[2, 1]));
        let of = |doors: &[(u8, &str, &[Port])]| shared(doors).into_iter().map(|(i, _)| i).collect::<Vec<_>>();
        assert_eq!(of(&[(0, "a", &a), (0, "b", &b), (0, "c", &c)]), [1]);
        assert_eq!(of(&[(0, "b", &b), (0, "a", &a)]), [0]);
        assert_eq!(of(&[(0, "a", &a), (0, "a", &a), (0, "d", &b)]), [1, 2]);
        assert_eq!(of(&[(0, "a", &a), (1, "a", &a), (2, "d", &b)]), [0; 0], "different scopes never meet");
        assert_eq!(of(&[(0, "a", &[]), (0, "b", &b)]), [0; 0]);
    }
}

//! What an invitation says of a door that takes encoded sequences.

use crate::Name;
use crate::encoded::Template;

/// A door that takes encoded sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedDoor {
    /// The door.
    pub door: Name,
    /// What its sequences say, and on which ports.
    pub template: Template,
}

impl EncodedDoor {
    /// As it stands in the field: 6 to 69 bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        [&self.template.bytes()[..], self.door.as_bytes()].concat()
    }

    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let (template, door) = value.split_first_chunk()?;
        let door = Name::new(std::str::from_utf8(door).ok()?)?;
        Some(Self { door, template: Template::read(*template)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoded::{Fields, Span, Transport, Whom};

    #[test]
    fn every_template_is_read_as_it_is_written() {
        let whoms = [Whom::Observed, Whom::V4, Whom::V4Net, Whom::V6, Whom::V6Net];
        let spans = [(1, 256), (40_000, 40_511), (1, 32_768), (32_768, 65_535), (65_280, 65_535)];
        for (number, whom) in (0..8).flat_map(|number| whoms.map(|whom| (number, whom))) {
            let fields = Fields { whom, port: number & 1 == 1, hold: number & 2 == 2, flags: number & 4 == 4 };
            for (first, last) in spans {
                for transport in [Transport::Tcp, Transport::Udp] {
                    let template = Template { span: Span::new(first, last).unwrap(), transport, fields };
                    let encoded = EncodedDoor { door: Name::new("ssh").unwrap(), template };
                    assert_eq!(EncodedDoor::read(&encoded.bytes()), Some(encoded));
                }
            }
        }
    }

    #[test]
    fn what_no_template_is_is_refused() {
        let good = [1, 6, 156, 64, 8, b's'];
        assert!(EncodedDoor::read(&good).is_some());
        for (at, wrong) in [(0, 5), (0, 64), (0, 255), (1, 1), (4, 7), (4, 16), (4, 200), (5, b'/'), (5, 0xff)] {
            let mut bytes = good;
            bytes[at] = wrong;
            assert_eq!(EncodedDoor::read(&bytes), None, "{bytes:?}");
        }
        assert_eq!(EncodedDoor::read(&good[..5]), None);
        assert_eq!(EncodedDoor::read(&[0; 5]), None);
        assert_eq!(EncodedDoor::read(&[1, 6, 0, 0, 8, b's']), None);
        assert_eq!(EncodedDoor::read(&[1, 6, 255, 1, 8, b's']), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_and_those_that_are_one_are_written_again(bytes: Vec<u8>) {
            if let Some(read) = EncodedDoor::read(&bytes) {
                assert_eq!(read.bytes(), bytes);
            }
        }
    }
}

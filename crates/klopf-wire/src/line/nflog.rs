//! The messages in which Linux hands logged packets to a program: NFLOG (linux/netfilter/nfnetlink_log.h), in netlink's
//! frames (RFC 3549; linux/netlink.h), whose numbers are in the host's own order.

/// Netlink's headers and attributes begin at multiples of it, in bytes.
const ALIGN: usize = 4;
const HEADER: usize = 16;
const ATTRIBUTE: usize = 4;

const NLMSG_ERROR: u16 = 2;
const NLMSG_OVERRUN: u16 = 4;
/// Lower ones are netlink's own.
const NLMSG_MIN_TYPE: u16 = 0x10;
/// NFNL_SUBSYS_ULOG, and NFULNL_MSG_PACKET in its lower byte.
const PACKET: u16 = 4 << 8;
const NFULA_IFINDEX_INDEV: u16 = 4;
const NFULA_PAYLOAD: u16 = 9;
/// Without the two bits that say how an attribute is written.
const TYPE_MASK: u16 = 0x3fff;

/// A logged packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged<'b> {
    /// The index of the interface by which it came; 0 if by none, for this host has sent it.
    pub ifindex: u32,
    /// The packet from its network header on, which may be cut.
    pub packet: &'b [u8],
}

/// Why a message holds no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A header or an attribute is cut, or says a wrong length. What is behind it in the buffer is lost.
    Cut,
    /// The kernel says an error, as `errno` has it.
    Error(u32),
    /// The kernel says that messages were lost.
    Overrun,
    /// Another message than that of a packet.
    OtherMessage,
    /// A message of a packet, without one.
    NoPayload,
}

impl Malformed {
    /// A stable name for counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cut => "nflog-cut",
            Self::Error(_) => "nflog-error",
            Self::Overrun => "nflog-overrun",
            Self::OtherMessage => "nflog-other-message",
            Self::NoPayload => "nflog-no-payload",
        }
    }
}

/// The packets in what one read from the socket gave. Netlink's confirmations and other notices without an error are left out.
#[must_use]
pub fn packets(buffer: &[u8]) -> Packets<'_> {
    Packets { rest: buffer }
}

/// See [`packets`].
#[derive(Clone, Debug)]
pub struct Packets<'b> {
    rest: &'b [u8],
}

impl<'b> Iterator for Packets<'b> {
    type Item = Result<Logged<'b>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let Some((kind, body, rest)) = message(self.rest) else {
                self.rest = &[];
                return Some(Err(Malformed::Cut));
            };
            self.rest = rest;
            match kind {
                PACKET => return Some(logged(body)),
                NLMSG_ERROR => match body.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
                    Some(0) => {}
                    Some(code) => return Some(Err(Malformed::Error(code.unsigned_abs()))),
                    None => return Some(Err(Malformed::Cut)),
                },
                NLMSG_OVERRUN => return Some(Err(Malformed::Overrun)),
                _ if kind < NLMSG_MIN_TYPE => {}
                _ => return Some(Err(Malformed::OtherMessage)),
            }
        }
        None
    }
}

/// The type and body of the first message, and what follows it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let &[l0, l1, l2, l3, t0, t1, ..] = bytes.first_chunk::<HEADER>()?;
    let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
    let body = bytes.get(HEADER..length)?;
    Some((u16::from_ne_bytes([t0, t1]), body, behind(bytes, length)))
}

/// What follows something of this length; the last one need not be filled up.
fn behind(bytes: &[u8], length: usize) -> &[u8] {
    length.checked_next_multiple_of(ALIGN).and_then(|next| bytes.get(next..)).unwrap_or_default()
}

/// Reads a body: struct nfgenmsg, of which nothing is needed, and attributes.
fn logged(body: &[u8]) -> Result<Logged<'_>, Malformed> {
    let (_, mut rest) = body.split_first_chunk::<4>().ok_or(Malformed::Cut)?;
    let (mut ifindex, mut packet) = (0, None);
    while !rest.is_empty() {
        let (&[l0, l1, t0, t1], _) = rest.split_first_chunk::<ATTRIBUTE>().ok_or(Malformed::Cut)?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = rest.get(ATTRIBUTE..length).ok_or(Malformed::Cut)?;
        match u16::from_ne_bytes([t0, t1]) & TYPE_MASK {
            // The one number in the order of the network.
            NFULA_IFINDEX_INDEV => ifindex = u32::from_be_bytes(*value.first_chunk().ok_or(Malformed::Cut)?),
            NFULA_PAYLOAD => packet = Some(value),
            _ => {}
        }
        rest = behind(rest, length);
    }
    packet.map(|packet| Logged { ifindex, packet }).ok_or(Malformed::NoPayload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(ATTRIBUTE + value.len()).unwrap();
        let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        bytes
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).unwrap();
        let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], body].concat();
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        bytes
    }

    fn logged(ifindex: Option<u32>, packet: &[u8]) -> Vec<u8> {
        let into = ifindex.map(|index| attribute(NFULA_IFINDEX_INDEV, &index.to_be_bytes())).unwrap_or_default();
        let header = attribute(1, &[8, 0, 1, 0]);
        let prefix = attribute(10, b"KNOCK \0");
        message(PACKET, &[&[2, 0, 0, 5][..], &header, &prefix, &into, &attribute(NFULA_PAYLOAD, packet)].concat())
    }

    #[test]
    fn a_buffer_can_hold_packets_and_other_messages() {
        let confirmed = message(NLMSG_ERROR, &[&[0; 4][..], &[0; 16]].concat());
        let refused = message(NLMSG_ERROR, &[&(-1_i32).to_ne_bytes()[..], &[0; 16]].concat());
        let done = message(3, &[0; 4]);
        let parts = [
            confirmed,
            logged(Some(2), b"packet"),
            done,
            logged(None, b""),
            refused,
            message(NLMSG_OVERRUN, &[]),
            message(PACKET + 1, &[2, 0, 0, 5]),
            message(PACKET, &[2, 0, 0, 5]),
            logged(Some(70_000), &[0x45; 1500]),
        ];
        let expected = [
            Ok(Logged { ifindex: 2, packet: b"packet" }),
            Ok(Logged { ifindex: 0, packet: b"" }),
            Err(Malformed::Error(1)),
            Err(Malformed::Overrun),
            Err(Malformed::OtherMessage),
            Err(Malformed::NoPayload),
            Ok(Logged { ifindex: 70_000, packet: &[0x45; 1500] }),
        ];
        assert_eq!(packets(&parts.concat()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_message_without_sense_ends_the_buffer_and_spares_what_was_before() {
        let whole = logged(Some(2), b"packets!");
        for length in 1..whole.len() {
            let cut = [&whole, &whole[..length]].concat();
            let found: Vec<_> = packets(&cut).collect();
            assert_eq!(found, [Ok(Logged { ifindex: 2, packet: b"packets!" }), Err(Malformed::Cut)], "{length}");
        }
        for length in [0_u32, 15, u32::MAX] {
            let mut odd = whole.clone();
            odd[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(packets(&odd).collect::<Vec<_>>(), [Err(Malformed::Cut)]);
        }
        let odd = message(PACKET, &[&[2, 0, 0, 5][..], &[3, 0, 9, 0]].concat());
        assert_eq!(packets(&odd).next(), Some(Err(Malformed::Cut)), "an attribute shorter than its header");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes: Vec<u8>, start in 0_usize..4) {
            let starts = [vec![], message(PACKET, &bytes), logged(Some(1), &bytes), message(NLMSG_ERROR, &bytes)];
            let buffer = [&starts[start][..], &bytes].concat();
            prop_assert!(packets(&buffer).count() <= 1 + buffer.len() / HEADER);
        }

        #[test]
        fn what_was_logged_is_found(all in proptest::collection::vec((any::<u32>(), any::<Vec<u8>>()), 0..8)) {
            let buffer: Vec<u8> = all.iter().flat_map(|(ifindex, packet)| logged(Some(*ifindex), packet)).collect();
            let found: Vec<_> = packets(&buffer).map(|logged| logged.map(|Logged { ifindex, packet }| (ifindex, packet.to_vec()))).collect();
            prop_assert_eq!(found, all.into_iter().map(Ok).collect::<Vec<_>>());
        }
    }
}

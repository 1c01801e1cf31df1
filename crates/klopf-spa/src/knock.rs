//! What a knock says, before it is sealed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Name, Shape};

/// The only version there is.
const VERSION: u8 = 1;
/// The knock that asks for a door to be opened.
const OPEN: u8 = 1;
/// Stands for no code.
const NO_CODE: u32 = u32::MAX;
/// Codes have six digits.
const CODES: u32 = 1_000_000;
/// Bytes before the door's name.
pub(crate) const BEFORE_DOOR: usize = 60;
/// Bytes of a signature (RFC 8032).
pub(crate) const SIGNATURE: usize = 64;

/// A knock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knock {
    /// When it was made, in milliseconds since 1970; 0 by a device without a clock.
    pub time: u64,
    /// Greater than that of every knock before by this device.
    pub counter: u64,
    /// Which device it is.
    pub device: [u8; 16],
    /// Whom to let in; none: the address that the packet comes from. Never an IPv4 address written as an IPv6 one.
    pub allow: Option<IpAddr>,
    /// For how many seconds; 0: as long as the door says.
    pub hold: u32,
    /// The code of a second factor, six digits.
    pub code: Option<u32>,
    /// The door.
    pub door: Name,
}

impl Knock {
    /// Its bytes without the signature.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, OPEN];
        out.extend(self.time.to_be_bytes());
        out.extend(self.counter.to_be_bytes());
        out.extend(self.device);
        match self.allow {
            None => out.extend([0; 17]),
            Some(IpAddr::V4(v4)) => {
                out.push(4);
                out.extend(v4.octets());
                out.extend([0; 12]);
            }
            Some(IpAddr::V6(v6)) => {
                out.push(6);
                out.extend(v6.octets());
            }
        }
        out.extend(self.hold.to_be_bytes());
        out.extend(self.code.filter(|code| *code < CODES).unwrap_or(NO_CODE).to_be_bytes());
        out.push(u8::try_from(self.door.len()).unwrap_or(0));
        out.extend(self.door.as_bytes());
        out
    }

    /// Takes it apart: the knock, its bytes without the signature, and the signature.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        let mut from = Reader(bytes);
        if from.take::<2>()? != [VERSION, OPEN] {
            return None;
        }
        let (time, counter) = (u64::from_be_bytes(from.take()?), u64::from_be_bytes(from.take()?));
        let device = from.take()?;
        let ([kind], address) = (from.take()?, from.take::<16>()?);
        let allow = allowed(kind, address)?;
        let hold = u32::from_be_bytes(from.take()?);
        let code = match u32::from_be_bytes(from.take()?) {
            NO_CODE => None,
            code if code < CODES => Some(code),
            _ => return None,
        };
        let [length] = from.take()?;
        let (door, signature) = from.0.split_at_checked(length.into())?;
        let door = Name::new(std::str::from_utf8(door).ok()?)?;
        let signed = bytes.get(..BEFORE_DOOR + door.len())?;
        (signature.len() == SIGNATURE).then_some((
            Self { time, counter, device, allow, hold, code, door },
            signed,
            signature,
        ))
    }
}

/// Whom to let in; the outer option is none where that is nothing one can let in.
fn allowed(kind: u8, address: [u8; 16]) -> Option<Option<IpAddr>> {
    let (first, rest) = address.split_first_chunk::<4>()?;
    let zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    match kind {
        0 if zero(&address) => Some(None),
        4 if zero(rest) => Some(Some(usable(Ipv4Addr::from(*first).into())?)),
        6 => Some(Some(usable(Ipv6Addr::from(address).into())?)),
        _ => None,
    }
}

/// The address, if a lease can be for it.
#[must_use]
pub fn usable(address: IpAddr) -> Option<IpAddr> {
    let wrong = match address {
        IpAddr::V4(v4) => v4.is_broadcast(),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some(),
    };
    (!wrong && !address.is_unspecified() && !address.is_multicast() && !address.is_loopback()).then_some(address)
}

/// Takes bytes from the front.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (&taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }
}

/// How packets are sent: where to, and what they look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The UDP port.
    pub port: PacketPort,
    /// The dress.
    pub shape: Shape,
}

/// The UDP port of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketPort {
    /// Always this one.
    Fixed(u16),
    /// Another one every minute; see [`crate::ServerPublic::hop_port`].
    Hop,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn knock() -> Knock {
        Knock {
            time: 1_800_000_000_123,
            counter: 77,
            device: [3; 16],
            allow: None,
            hold: 60,
            code: Some(42),
            door: Name::new("ssh").unwrap(),
        }
    }

    fn signed(knock: &Knock) -> Vec<u8> {
        [knock.encode(), vec![9; SIGNATURE]].concat()
    }

    #[test]
    fn a_knock_is_read_as_it_is_written() {
        for allow in [None, Some("192.0.2.7"), Some("2001:db8::7")] {
            for (code, door) in [(None, "a"), (Some(999_999), &*"x".repeat(64)), (Some(0), "A-b_c.9")] {
                let allow = allow.map(|text| text.parse().unwrap());
                let knock = Knock { allow, code, door: Name::new(door).unwrap(), ..knock() };
                let bytes = signed(&knock);
                let (read, covered, signature) = Knock::decode(&bytes).unwrap();
                assert_eq!((read, covered.len(), signature), (knock, BEFORE_DOOR + door.len(), &[9; 64][..]));
            }
        }
    }

    #[test]
    fn what_says_nothing_is_refused() {
        let good = signed(&knock());
        let with = |at: usize, bytes: &[u8]| {
            let mut wrong = good.clone();
            wrong[at..at + bytes.len()].copy_from_slice(bytes);
            Knock::decode(&wrong).is_some()
        };
        assert!(with(0, &[1]));
        assert!(!with(0, &[2]), "version");
        assert!(!with(1, &[2]), "kind");
        assert!(!with(34, &[5]), "family");
        assert!(!with(34, &[0, 1]), "an address that is not asked for");
        assert!(!with(34, &[4, 192, 0, 2, 1, 1]), "an IPv4 address with more");
        assert!(with(34, &[4, 192, 0, 2, 1]));
        for address in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
            let v4: Ipv4Addr = address.parse().unwrap();
            assert!(!with(34, &[&[4][..], &v4.octets()].concat()), "{address}");
        }
        for address in ["::", "::1", "ff02::1", "::ffff:192.0.2.1"] {
            let v6: Ipv6Addr = address.parse().unwrap();
            assert!(!with(34, &[&[6][..], &v6.octets()].concat()), "{address}");
        }
        assert!(!with(55, &1_000_000_u32.to_be_bytes()), "a code of seven digits");
        assert!(!with(59, &[0]) && !with(59, &[4]) && !with(59, &[65]) && !with(59, &[255]), "length of the name");
        assert!(!with(60, b"s/h") && !with(60, "é".as_bytes()), "name");
        assert!(Knock::decode(&good[..good.len() - 1]).is_none());
        assert!(Knock::decode(&[&good[..], &[0]].concat()).is_none());
    }
}

//! SOCKS5 (RFC 1928): what a client says, and what it is answered. Bytes only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const CONNECT: u8 = 1;

/// The longest greeting, and the longest request, in bytes.
pub const LONGEST: usize = 262;

/// What a program wants to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// A name or an address.
    pub host: Host,
    /// Never 0.
    pub port: u16,
}

/// Its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// To be resolved here.
    Name(String),
    /// Resolved already.
    Address(IpAddr),
}

/// How a read went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// There is more to come.
    Partial,
    /// All of it, and how many bytes it took.
    Whole(T, usize),
    /// Not what can be answered, and how to say so.
    Wrong(Reply),
}

/// An answer (section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Connected.
    Succeeded = 0,
    /// Something else.
    Failed = 1,
    /// Only hosts of profiles are served.
    NotAllowed = 2,
    /// Nobody there.
    HostUnreachable = 4,
    /// Nothing listens.
    Refused = 5,
    /// Only CONNECT is served.
    CommandNotSupported = 7,
    /// Another kind of address.
    AddressNotSupported = 8,
}

impl Reply {
    /// Its bytes; the address that it could tell is nobody's business.
    #[must_use]
    pub const fn bytes(self) -> [u8; 10] {
        [VERSION, self as u8, 0, 1, 0, 0, 0, 0, 0, 0]
    }
}

/// Accepts a greeting (section 3).
pub const METHOD: [u8; 2] = [VERSION, NO_AUTHENTICATION];
/// Refuses it: no method suits.
pub const NO_METHOD: [u8; 2] = [VERSION, 0xff];

/// Reads a greeting: whether the client will do without authentication.
#[must_use]
pub fn greeting(bytes: &[u8]) -> Read<bool> {
    match bytes {
        [] | [VERSION] => Read::Partial,
        [VERSION, many, rest @ ..] => match rest.get(..usize::from(*many)) {
            Some(methods) => Read::Whole(methods.contains(&NO_AUTHENTICATION), 2 + methods.len()),
            None => Read::Partial,
        },
        _ => Read::Wrong(Reply::Failed),
    }
}

/// Reads a request (section 4).
#[must_use]
pub fn request(bytes: &[u8]) -> Read<Request> {
    let Some((&[version, command, _, kind], rest)) = bytes.split_first_chunk::<4>() else {
        return if bytes.first().is_none_or(|first| *first == VERSION) {
            Read::Partial
        } else {
            Read::Wrong(Reply::Failed)
        };
    };
    if version != VERSION {
        return Read::Wrong(Reply::Failed);
    }
    let (host, rest, length) = match kind {
        1 => match rest.split_first_chunk::<4>() {
            Some((octets, rest)) => (Host::Address(Ipv4Addr::from(*octets).into()), rest, 4),
            None => return Read::Partial,
        },
        4 => match rest.split_first_chunk::<16>() {
            Some((octets, rest)) => (Host::Address(IpAddr::from(Ipv6Addr::from(*octets)).to_canonical()), rest, 16),
            None => return Read::Partial,
        },
        3 => match name(rest) {
            Some((Some(host), rest, length)) => (host, rest, length),
            Some((None, ..)) => return Read::Wrong(Reply::HostUnreachable),
            None => return Read::Partial,
        },
        _ => return Read::Wrong(Reply::AddressNotSupported),
    };
    let Some((port, _)) = rest.split_first_chunk::<2>() else { return Read::Partial };
    match u16::from_be_bytes(*port) {
        _ if command != CONNECT => Read::Wrong(Reply::CommandNotSupported),
        0 => Read::Wrong(Reply::Failed),
        port => Read::Whole(Request { host, port }, 4 + length + 2),
    }
}

/// A host's name behind its length, what follows, and how long both are. Some programs send an address that way; the host is none
/// if it is neither.
fn name(bytes: &[u8]) -> Option<(Option<Host>, &[u8], usize)> {
    let (&length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(length.into())?;
    let text = std::str::from_utf8(name).unwrap_or_default();
    let host = match text.parse::<IpAddr>() {
        Ok(address) => Some(Host::Address(address.to_canonical())),
        Err(_) => is_host(text).then(|| Host::Name(text.to_owned())),
    };
    Some((host, rest, 1 + name.len()))
}

/// Whether it can be a host's name. What could be taken for an option, or ends a line of a log, is none.
fn is_host(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(kind: u8, address: &[u8], port: u16) -> Vec<u8> {
        [&[5, 1, 0, kind][..], address, &port.to_be_bytes()].concat()
    }

    #[test]
    fn a_request_is_read_when_all_of_it_is_there() {
        let name = |text: &str| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
        let address = |text: &str| Host::Address(text.parse().unwrap());
        let v6: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let mapped: Ipv6Addr = "::ffff:192.0.2.7".parse().unwrap();
        for (bytes, host) in [
            (asked(1, &[192, 0, 2, 7], 22), address("192.0.2.7")),
            (asked(4, &v6.octets(), 22), address("2001:db8::7")),
            (asked(4, &mapped.octets(), 22), address("192.0.2.7")),
            (asked(3, &name("host.example"), 22), Host::Name("host.example".into())),
            (asked(3, &name("192.0.2.7"), 22), address("192.0.2.7")),
            (asked(3, &name(&"x".repeat(253)), 22), Host::Name("x".repeat(253))),
        ] {
            let whole = Read::Whole(Request { host, port: 22 }, bytes.len());
            assert_eq!(request(&bytes), whole);
            assert_eq!(request(&[&bytes[..], b"more"].concat()), whole);
            assert!((0..bytes.len()).all(|length| request(&bytes[..length]) == Read::Partial));
            assert!(bytes.len() <= LONGEST);
        }
    }

    #[test]
    fn what_cannot_be_served_has_its_answer() {
        for (bytes, reply) in [
            (vec![4, 1], Reply::Failed),
            (b"GET / HTTP/1.1".to_vec(), Reply::Failed),
            ([&[5, 2][..], &asked(1, &[1, 2, 3, 4], 22)[2..]].concat(), Reply::CommandNotSupported),
            ([&[5, 3][..], &asked(1, &[1, 2, 3, 4], 22)[2..]].concat(), Reply::CommandNotSupported),
            (asked(2, &[1, 2, 3, 4], 22), Reply::AddressNotSupported),
            (asked(1, &[1, 2, 3, 4], 0), Reply::Failed),
            (asked(3, b"\x00", 22), Reply::HostUnreachable),
            (asked(3, b"\x03a b", 22), Reply::HostUnreachable),
            (asked(3, b"\x02\xff\xff", 22), Reply::HostUnreachable),
        ] {
            assert_eq!(request(&bytes), Read::Wrong(reply), "{bytes:?}");
        }
        assert_eq!(greeting(&[5, 2, 2]), Read::Partial);
        assert_eq!(greeting(&[5, 2, 2, 0, 5]), Read::Whole(true, 4));
        assert_eq!(greeting(&[5, 1, 2]), Read::Whole(false, 3));
        assert_eq!(greeting(&[5, 0]), Read::Whole(false, 2));
        assert_eq!(greeting(&[4, 1]), Read::Wrong(Reply::Failed));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, rest: Vec<u8>) {
            let _ = (greeting(&bytes), request(&bytes));
            for kind in [1, 3, 4] {
                if let Read::Whole(_, length) = request(&[&[5, 1, 0, kind][..], &rest].concat()) {
                    assert!(length <= rest.len() + 4);
                }
            }
        }
    }
}

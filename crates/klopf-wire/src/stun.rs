//! What a STUN server says of this device's public address (RFC 8489): the request, and its answer. Bytes only.

use std::net::{IpAddr, SocketAddr};

/// Fixed in every message (section 5).
const MAGIC: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const MAPPED_ADDRESS: u16 = 0x0001;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// A binding request without attributes (section 5).
#[must_use]
pub fn binding_request(transaction: [u8; 12]) -> [u8; 20] {
    let mut out = [0; 20];
    let parts = BINDING_REQUEST.into_iter().chain([0, 0]).chain(MAGIC).chain(transaction);
    out.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    out
}

/// The address that the answer to this transaction tells (sections 14.1 and 14.2); none if it is no such answer.
#[must_use]
pub fn mapped_address(answer: &[u8], transaction: [u8; 12]) -> Option<SocketAddr> {
    let (kind, rest) = answer.split_first_chunk::<2>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (magic, rest) = rest.split_first_chunk::<4>()?;
    let (id, mut rest) = rest.split_first_chunk::<12>()?;
    if *kind != BINDING_SUCCESS || *magic != MAGIC || *id != transaction {
        return None;
    }
    if rest.len() != usize::from(u16::from_be_bytes(*length)) {
        return None;
    }
    let mut plain = None;
    while let Some((&[k0, k1, l0, l1], behind)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let (value, _) = behind.split_at_checked(length)?;
        match u16::from_be_bytes([k0, k1]) {
            XOR_MAPPED_ADDRESS => return address(value, &[&MAGIC[..], &transaction].concat()),
            MAPPED_ADDRESS => plain = plain.or_else(|| address(value, &[0; 16])),
            _ => {}
        }
        // Values end at a multiple of four bytes.
        rest = behind.get(length.next_multiple_of(4)..)?;
    }
    plain
}

/// Family, port and address, each xor the mask.
fn address(value: &[u8], mask: &[u8]) -> Option<SocketAddr> {
    let (&[_, family, p0, p1], bytes) = value.split_first_chunk::<4>()?;
    let mut bytes = bytes.to_vec();
    bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    let address = match family {
        1 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        2 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    let [m0, m1] = *mask.first_chunk::<2>()?;
    Some(SocketAddr::new(address, u16::from_be_bytes([p0 ^ m0, p1 ^ m1])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of a server to a request.
    fn answer(request: &[u8], seen: SocketAddr) -> Vec<u8> {
        let transaction: [u8; 12] = request[8..20].try_into().unwrap();
        let mask = [&MAGIC[..], &transaction].concat();
        let octets = match seen.ip() {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let xored = |bytes: &[u8]| bytes.iter().zip(&mask).map(|(a, b)| a ^ b).collect::<Vec<_>>();
        let family = if seen.is_ipv4() { 1 } else { 2 };
        let value = [&[0, family][..], &xored(&seen.port().to_be_bytes()), &xored(&octets)].concat();
        let attribute = |kind: u16, value: &[u8]| {
            let mut out = [kind.to_be_bytes(), u16::try_from(value.len()).unwrap().to_be_bytes()].concat();
            out.extend(value);
            out.resize(out.len().next_multiple_of(4), 0);
            out
        };
        let body = [attribute(0x8022, b"klopf"), attribute(XOR_MAPPED_ADDRESS, &value)].concat();
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&BINDING_SUCCESS[..], &length, &MAGIC, &transaction, &body].concat()
    }

    #[test]
    fn the_example_of_rfc_5769_is_read() {
        let transaction = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];
        let head = |length: u8| [&[1, 1, 0, length][..], &MAGIC, &transaction].concat();
        let v4 = [head(12), vec![0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]].concat();
        assert_eq!(mapped_address(&v4, transaction), Some("192.0.2.1:32853".parse().unwrap()));
        let v6 = [0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9];
        let v6 = [head(24), vec![0, 0x20, 0, 20, 0, 2, 0xa1, 0x47], v6.to_vec()].concat();
        let expected = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        assert_eq!(mapped_address(&v6, transaction), Some(expected));
        assert_eq!(mapped_address(&v6, [0; 12]), None, "the answer to somebody else");
    }

    #[test]
    fn an_answer_that_is_cut_or_longer_says_nothing() {
        let request = binding_request([9; 12]);
        for seen in ["192.0.2.7:5", "[2001:db8::7]:65535"] {
            let seen: SocketAddr = seen.parse().unwrap();
            let good = answer(&request, seen);
            assert_eq!(mapped_address(&good, [9; 12]), Some(seen));
            assert!((0..good.len()).all(|length| mapped_address(&good[..length], [9; 12]).is_none()));
            assert_eq!(mapped_address(&[&good[..], &[0]].concat(), [9; 12]), None);
        }
        let old = [&[1, 1, 0, 12][..], &MAGIC, &[9; 12], &[0, 1, 0, 8, 0, 1, 0, 7, 192, 0, 2, 1]].concat();
        assert_eq!(mapped_address(&old, [9; 12]), Some("192.0.2.1:7".parse().unwrap()));
    }

    proptest::proptest! {
        #[test]
        fn any_answer_is_read_without_panic(bytes: Vec<u8>, attributes: Vec<u8>) {
            let _ = mapped_address(&bytes, [9; 12]);
            let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
            let _ = mapped_address(&[&BINDING_SUCCESS[..], &length, &MAGIC, &[9; 12], &attributes].concat(), [9; 12]);
        }
    }
}

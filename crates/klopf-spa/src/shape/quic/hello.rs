//! The ClientHello of a client that resumes a session and sends early data (RFC 8446, RFC 9001).

use aws_lc_rs::agreement::{PrivateKey, X25519};

use super::super::draw::Draw;
use super::super::name;
use super::with_length;

const SERVER_NAME: u16 = 0;
const STATUS_REQUEST: u16 = 5;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;
const PSK_KEY_EXCHANGE_MODES: u16 = 45;
const KEY_SHARE: u16 = 51;
const QUIC_TRANSPORT_PARAMETERS: u16 = 57;

/// TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384 and TLS_CHACHA20_POLY1305_SHA256, in the orders in which clients want them.
const CIPHERS: [[u16; 3]; 3] = [[0x1301, 0x1302, 0x1303], [0x1302, 0x1301, 0x1303], [0x1301, 0x1303, 0x1302]];
/// X25519, P-256, P-384.
const GROUPS: [u16; 3] = [0x001d, 0x0017, 0x0018];
/// ECDSA, Ed25519, and RSA of both kinds.
const SIGNATURES: [u16; 9] = [0x0403, 0x0503, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601];
/// How long the binders of SHA-256 and of SHA-384 are, in bytes.
const BINDERS: [usize; 3] = [32, 48, 48];

/// The message with its header, of a client that has this connection ID.
pub(super) fn client_hello(source: &[u8], draw: &mut Draw<'_>) -> Option<Vec<u8>> {
    let mut body = vec![3, 3];
    body.extend(draw.array::<32>());
    // No session ID over QUIC.
    body.push(0);
    body.extend(list(&draw.one_of(&CIPHERS))?);
    body.extend([1, 0]);
    body.extend(with_long_length(&extensions(source, draw)?)?);
    // The length has three bytes, of which the first is 0.
    Some([&[1, 0], &*with_long_length(&body)?].concat())
}

/// All extensions in an order drawn by chance, as browsers have it, but the last, which must be that.
fn extensions(source: &[u8], draw: &mut Draw<'_>) -> Option<Vec<u8>> {
    let name = name::host(draw).into_bytes();
    let ticket_length = draw.between(96, 176);
    let identity = [with_long_length(&draw.bytes(ticket_length))?, draw.array::<4>().to_vec()].concat();
    let binder_length = draw.one_of(&BINDERS);
    let binder = draw.bytes(binder_length);
    let mut extensions = [
        extension(SERVER_NAME, &with_long_length(&[vec![0], with_long_length(&name)?].concat())?)?,
        extension(STATUS_REQUEST, &[1, 0, 0, 0, 0])?,
        extension(SUPPORTED_GROUPS, &list(&GROUPS)?)?,
        extension(SIGNATURE_ALGORITHMS, &list(&SIGNATURES)?)?,
        extension(ALPN, &with_long_length(&with_length(b"h3")?)?)?,
        extension(EARLY_DATA, &[])?,
        extension(SUPPORTED_VERSIONS, &[2, 3, 4])?,
        extension(PSK_KEY_EXCHANGE_MODES, &[1, 1])?,
        extension(KEY_SHARE, &with_long_length(&key_share(draw)?)?)?,
        extension(QUIC_TRANSPORT_PARAMETERS, &parameters(source, draw)?)?,
    ];
    draw.shuffle(&mut extensions);
    let keys = [with_long_length(&identity)?, with_long_length(&with_length(&binder)?)?].concat();
    Some([extensions.concat(), extension(PRE_SHARED_KEY, &keys)?].concat())
}

/// A public key for X25519, and not just random bytes, which half the time are no point of the curve.
fn key_share(draw: &mut Draw<'_>) -> Option<Vec<u8>> {
    let key = PrivateKey::from_private_key(&X25519, &draw.array::<32>()).ok()?.compute_public_key().ok()?;
    let [group, ..] = GROUPS;
    Some([group.to_be_bytes().to_vec(), with_long_length(key.as_ref())?].concat())
}

/// Transport parameters (RFC 9000, section 18), in an order drawn by chance as well.
fn parameters(source: &[u8], draw: &mut Draw<'_>) -> Option<Vec<u8>> {
    // max_idle_timeout in milliseconds, max_udp_payload_size, initial_max_data and initial_max_stream_data of three
    // kinds, both initial_max_streams, active_connection_id_limit.
    let data = draw.one_of(&[1 << 20, 10 << 20, 15 << 20, 24 << 20]);
    let stream = draw.one_of(&[256 << 10, 512 << 10, 1 << 20, 6 << 20]);
    let streams = draw.one_of(&[100, 100, 128, 256]);
    let numbers: [(u8, u32); 9] = [
        (0x01, draw.one_of(&[10_000, 30_000, 30_000, 60_000])),
        (0x03, draw.one_of(&[1452, 1472, 1500])),
        (0x04, data),
        (0x05, stream),
        (0x06, stream),
        (0x07, stream),
        (0x08, streams),
        (0x09, draw.one_of(&[3, 16, 100, 103])),
        (0x0e, draw.one_of(&[2, 4, 5, 8])),
    ];
    let mut all: Vec<Vec<u8>> = Vec::new();
    for (kind, number) in numbers {
        all.push([vec![kind], with_length(&varint(number))?].concat());
    }
    // initial_source_connection_id
    all.push([vec![0x0f], with_length(source)?].concat());
    // One that means nothing, so that nobody gets used to there being none (section 18.1).
    let reserved = u32::try_from(31 * draw.between(4, 10_000) + 27).ok()?;
    let length = draw.below(12);
    all.push([varint(reserved), with_length(&draw.bytes(length))?].concat());
    draw.shuffle(&mut all);
    Some(all.concat())
}

/// A number of RFC 9000, section 16, below 2^30.
fn varint(number: u32) -> Vec<u8> {
    match number.to_be_bytes() {
        [0, 0, 0, a @ 0..0x40] => vec![a],
        [0, 0, a @ 0..0x40, b] => vec![a | 0x40, b],
        [a, b, c, d] => vec![a | 0x80, b, c, d],
    }
}

fn extension(kind: u16, body: &[u8]) -> Option<Vec<u8>> {
    Some([kind.to_be_bytes().to_vec(), with_long_length(body)?].concat())
}

/// Numbers after how many bytes they are.
fn list(numbers: &[u16]) -> Option<Vec<u8>> {
    with_long_length(&numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>())
}

/// Bytes after their length in two bytes.
fn with_long_length(bytes: &[u8]) -> Option<Vec<u8>> {
    Some([&u16::try_from(bytes.len()).ok()?.to_be_bytes()[..], bytes].concat())
}

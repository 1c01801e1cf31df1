//! Seeds that the test vectors of the sealed knock are.

use std::io;
use std::path::Path;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use klopf_spa::{Knock, Name, Psk, Seed, ServerKey, Shape, seal};
use serde_json::Value;

use super::write;

// As `sealed_middle` reads its first byte.
const KNOCK: u8 = 1;
const SIGN: u8 = 2;

/// Writes them for all targets that have such.
pub(crate) fn write_all() -> io::Result<()> {
    let packets = read("packets")?;
    let first = packets.first().ok_or(io::ErrorKind::InvalidData)?;
    for vector in &packets {
        let (name, packet) = (name(vector), bytes(vector, "packet"));
        if packet.is_empty() {
            continue;
        }
        write("sealed_packet", &name, &packet)?;
        if let Some(middle) = opened(&bytes(first, "outer"), &packet) {
            // The zeros at its end come again by themselves.
            let end = middle.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            write("sealed_middle", &format!("middle_{name}"), &[&[0], &middle[..end]].concat())?;
        }
        for (field, how) in [("knock", KNOCK), ("head", KNOCK | SIGN)] {
            let knock = bytes(vector, field);
            if !knock.is_empty() {
                write("sealed_middle", &format!("{field}_{name}"), &[&[how], &*knock].concat())?;
            }
        }
    }
    for shape in Shape::ALL {
        write("sealed_packet", &format!("shape_{}", shape.name()), &dressed(first, shape))?;
        let how = KNOCK | SIGN | shape.number() << 2;
        write("sealed_middle", &format!("shape_{}", shape.name()), &[&[how], &*bytes(first, "head")].concat())?;
    }
    for vector in read("tokens")? {
        let name = name(&vector);
        for (seed, content) in
            [(name.clone(), bytes(&vector, "token")), (format!("claim_{name}"), bytes(&vector, "plain"))]
        {
            if !content.is_empty() {
                write("token", &seed, &content)?;
            }
        }
    }
    for vector in read("shares")? {
        let name = name(&vector);
        let sealed = vector["shares"].as_array().into_iter().flatten().chain(vector.get("share"));
        for (number, share) in sealed.enumerate() {
            write("share", &format!("{name}_{number}"), &hex(share))?;
        }
        for (number, part) in vector["parts"].as_array().into_iter().flatten().enumerate() {
            write("share", &format!("part_{name}_{number}"), &hex(part))?;
        }
    }
    for vector in read("combinations")? {
        let shares: Vec<Vec<u8>> = vector["shares"].as_array().into_iter().flatten().map(whole).collect();
        write("share", &format!("combined_{}", name(&vector)), &shares.concat())?;
    }
    for vector in read("paper")? {
        let name = name(&vector);
        write("code", &name, &bytes(&vector, "paper_code"))?;
        if let (Some(sheet), Some(index)) = (vector["sheet"].as_u64(), vector["index"].as_u64()) {
            let place = [&sheet.to_be_bytes()[6..], &index.to_be_bytes()[7..]].concat();
            write("code", &format!("place_{name}"), &[&place, text(&vector, "door").as_bytes()].concat())?;
        }
    }
    for vector in read("encoded")? {
        let (name, template) = (name(&vector), template(&vector["template"]));
        let symbols =
            text(&vector, "symbols").split(' ').flat_map(|it| it.parse().unwrap_or(0_u16).to_be_bytes()).collect();
        let said: Vec<u8> = text(&vector, "plain").into_bytes().chunks(8).map(byte).collect();
        for (seed, content) in [(name.clone(), symbols), (format!("plain_{name}"), said)] {
            if !content.is_empty() {
                write("encoded", &seed, &[&template[..], &content].concat())?;
            }
        }
    }
    for vector in read("invitations")? {
        let (name, text) = (name(&vector), text(&vector, "text"));
        write("invitation", &name, text.as_bytes())?;
        let decoded = text.strip_prefix("klopf:").and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok());
        if let Some(fields) = decoded.as_deref().and_then(|bytes| bytes.get(1..bytes.len().checked_sub(4)?)) {
            write("invitation", &format!("fields_{name}"), fields)?;
        }
    }
    Ok(())
}

fn read(file: &str) -> io::Result<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/klopf-spa/vectors").join(file);
    let whole: Value = serde_json::from_slice(&std::fs::read(path.with_extension("json"))?)?;
    Ok(whole["vectors"].as_array().cloned().unwrap_or_default())
}

fn name(vector: &Value) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    text(vector, "name").chars().map(plain).collect()
}

fn text(vector: &Value, field: &str) -> String {
    vector[field].as_str().unwrap_or_default().to_owned()
}

/// The bytes of a field; none if it is not there.
fn bytes(vector: &Value, field: &str) -> Vec<u8> {
    hex(&vector[field])
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap_or_default().as_bytes()).unwrap_or_default()
}

/// An opened share as the target reads it: group, k, x, the number of its values, and these.
fn whole(share: &Value) -> Vec<u8> {
    let number = |field: &str| share[field].as_u64().and_then(|it| u8::try_from(it).ok()).expect("a small number");
    let values = bytes(share, "values");
    let length = u8::try_from(values.len()).expect("not many");
    [&bytes(share, "group")[..], &[number("k"), number("x"), length], &values].concat()
}

/// A template as the target reads it.
fn template(template: &Value) -> [u8; 4] {
    let has = |field: &str| template["fields"].as_array().is_some_and(|all| all.iter().any(|it| it == field));
    let whom = u8::from(has("addr4")) + u8::from(has("net4")) + 3 * u8::from(has("addr6")) + u8::from(has("net6"));
    let fields = whom | u8::from(has("port")) << 3 | u8::from(has("for")) << 4 | u8::from(has("flag")) << 5;
    let number = |field: &str| template[field].as_u64().and_then(|it| u16::try_from(it).ok()).expect("a small number");
    let size = u8::try_from(number("size").trailing_zeros()).expect("at most 15") - 8;
    let [f0, f1] = number("first").to_be_bytes();
    [size | u8::from(template["transport"] == "udp") << 3, fields, f0, f1]
}

/// A byte of up to eight bits in a text.
fn byte(bits: &[u8]) -> u8 {
    (0..8).fold(0, |sum, at| sum << 1 | u8::from(bits.get(at) == Some(&b'1')))
}

fn array(vector: &Value, field: &str) -> [u8; 32] {
    bytes(vector, field).try_into().expect("32 bytes")
}

/// What the outer seal holds.
fn opened(outer: &[u8], packet: &[u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, outer).ok()?);
    let (nonce, sealed) = packet.split_first_chunk::<12>()?;
    let mut sealed = sealed.to_vec();
    let middle = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut sealed).ok()?;
    Some(middle.to_vec())
}

/// A packet of the same server and person that looks like something.
fn dressed(vector: &Value, shape: Shape) -> Vec<u8> {
    let (server, seed, psk) = (ServerKey::new(array(vector, "skS")), array(vector, "seed"), array(vector, "psk"));
    let door = Name::new("ssh").expect("a name");
    let knock = Knock { time: 1, counter: 1, device: [4; 16], allow: None, hold: 0, code: None, door };
    let mut next = 0_u8;
    let mut chance = |out: &mut [u8]| {
        out.iter_mut().for_each(|byte| {
            next = next.wrapping_mul(5).wrapping_add(77);
            *byte = next;
        });
    };
    seal((&server.public(), shape), (&Seed::new(seed), &Psk::new(psk)), &knock, 0, &mut chance)
}

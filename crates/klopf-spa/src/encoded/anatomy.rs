//! A sequence bit by bit, for people who want to see it.

use aws_lc_rs::hmac::{HMAC_SHA256, Key};

use super::bits::BitReader;
use super::{HINT, Keys, Parts, Template, Whom, fields, hint_mask, mask_key};
use crate::{KeyId, Own, ServerPublic};

/// The payload as it is sent, as bits `0` and `1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anatomy {
    /// The fields, hidden.
    pub hidden: String,
    /// The beginning of the key's id, hidden.
    pub hint: String,
    /// The tag.
    pub tag: String,
}

/// What the symbols of a sequence carry, whoever has made it. None if they are not as many as the template has, one is none
/// of the span, or one is not in its place.
#[must_use]
pub fn anatomy(template: &Template, symbols: &[u16]) -> Option<Anatomy> {
    let Parts { hidden, hint, tag } = Parts::of(template, symbols)?;
    Some(Anatomy { hidden: hidden.text(), hint: format!("{hint:06b}"), tag: tag.text() })
}

/// The fields as a key shows them, in order, each with its bits; the last one is the beginning of the key's id. It is not looked at
/// whether the key is the right one: with another they are chance. None as for [`anatomy`].
#[must_use]
pub fn shown(
    (server, id, own): (&ServerPublic, KeyId, &Own),
    template: &Template,
    symbols: &[u16],
) -> Option<Vec<(&'static str, String)>> {
    let Parts { hidden, hint, tag } = Parts::of(template, symbols)?;
    let plain = Keys::new(server, id, own, [0; 4], template).hide(&tag, &hidden);
    let mut from = BitReader::new(&plain);
    let said = template.fields;
    let (address, net) = match said.whom {
        Whom::Observed => (0, 0),
        Whom::V4 => (32, 0),
        Whom::V4Net => (32, 5),
        Whom::V6 => (128, 0),
        Whom::V6Net => (128, 7),
    };
    let of = |there: bool, count: usize| if there { count } else { 0 };
    let parts = [
        ("addr", address),
        ("net", net),
        ("port", of(said.port, 16)),
        ("for", of(said.hold, 6)),
        ("flag", of(said.flags, 4)),
        ("time", fields::TIME),
        ("salt", fields::SALT),
    ];
    let there = parts.into_iter().filter(|(_, count)| *count > 0);
    let mut all: Vec<_> = there.filter_map(|(name, count)| Some((name, from.part(count)?.text()))).collect();
    let hint = hint ^ hint_mask(&Key::new(HMAC_SHA256, &*mask_key(server)), &tag);
    all.push(("hint", format!("{hint:0HINT$b}")));
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::super::{Claim, Fields, Mark, Span, Transport, seal};
    use super::*;
    use crate::{Psk, ServerKey};

    #[test]
    fn all_bits_are_shown_and_the_right_key_shows_what_was_said() {
        let server = ServerKey::new([1; 32]).public();
        let (id, own) = (KeyId([0b1010_0111; 8]), Own::psk(&Psk::new([3; 32])));
        let fields = Fields { whom: Whom::V4Net, port: true, hold: true, flags: true };
        let template = Template { span: Span::new(40_000, 40_255).unwrap(), transport: Transport::Tcp, fields };
        let claim = Claim { allow: Some(([192, 0, 2, 0].into(), 24)), port: Some(22), hold: 10, flags: 0b0101 };
        let from = Mark::at(1_790_000_000);
        let (symbols, mark) = seal((&server, id, &own), "ssh", &template, &claim, from).unwrap();
        let sent = anatomy(&template, &symbols).unwrap();
        let whole = format!("{}{}{}", sent.hidden, sent.hint, sent.tag);
        let carried: String = symbols.iter().map(|symbol| format!("{:07b}", symbol >> 1)).collect();
        assert_eq!(whole, carried);
        let shown = shown((&server, id, &own), &template, &symbols).unwrap();
        let of = |name: &str| &*shown.iter().find(|(other, _)| *other == name).unwrap().1;
        assert_eq!((of("addr"), of("net")), ("11000000000000000000001000000000", "10111"));
        assert_eq!((of("port"), of("for"), of("flag"), of("hint")), ("0000000000010110", "000001", "0101", "101001"));
        assert_eq!(format!("{}{}", of("time"), of("salt")), format!("{:016b}", mark.0 & 0xffff));
        assert_eq!(shown.iter().map(|(_, bits)| bits.len()).sum::<usize>(), sent.hidden.len() + HINT);
        assert_eq!(anatomy(&template, &symbols[1..]), None);
    }
}

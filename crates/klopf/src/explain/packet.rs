//! Sealed packets.

use std::fmt::Write;

use klopf_spa::{KeyId, Knock, Scratch, outer_id};

use super::lore::{KnownKey, Lore};
use crate::open::{date, layers};
use crate::times::span;

/// What a sealed packet is, as far as can be seen; none if it is for another server, or no packet of Klopf's.
pub(super) fn told(lore: &Lore, bytes: &[u8], now: u64) -> Option<(String, bool)> {
    let id = outer_id(&lore.server, lore.shape, bytes)?;
    let mut out = format!("A sealed packet, {} bytes, by somebody who was invited:\n", bytes.len());
    let key = lore.keys.iter().find(|key| key.id == id);
    out += &layers(bytes, knock(lore, bytes).as_ref(), id, lore.shape);
    let _ = match (key, knock(lore, bytes)) {
        (_, Some(knock)) => {
            out += &said(&name(key, id), &knock, now);
            return Some((out, true));
        }
        (None, _) => writeln!(out, "It is by the key {id}, which is not known here."),
        (Some(key), None) if lore.opener.is_none() => {
            writeln!(
                out,
                "It names the key {} of this profile; what it says only the server can open: --server",
                key.name
            )
        }
        (Some(key), None) => writeln!(out, "It names the key {} and is not by it: forged.", key.name),
    };
    Some((out, key.is_some()))
}

/// What a packet says, if the server's key is there and it is by somebody who is known.
pub(super) fn knock(lore: &Lore, bytes: &[u8]) -> Option<Knock> {
    let (opener, mut scratch) = (lore.opener.as_ref()?, Scratch::default());
    let checked = opener.check(bytes, &mut scratch).ok()?;
    opener.open(&checked).ok().map(|(_, knock)| knock)
}

/// What a knock says, in a line.
pub(super) fn said(key: &str, knock: &Knock, now: u64) -> String {
    let whom = knock.allow.map_or_else(|| "whoever it comes from".to_owned(), |address| address.to_string());
    let hold = if knock.hold == 0 { String::new() } else { format!(", for {}", span(u64::from(knock.hold) * 1000)) };
    let made = match knock.time / 1000 {
        0 => "by a device without a clock".to_owned(),
        made if made > now => format!("made {}, {} from now", date(made), span((made - now) * 1000)),
        made => format!("made {}, {} ago", date(made), span((now - made) * 1000)),
    };
    format!("It asks for the door {}, by the key {key}, for {whom}{hold}, {made}.\n", knock.door)
}

/// What a key is called here.
pub(super) fn name(key: Option<&KnownKey>, id: KeyId) -> String {
    key.map_or_else(|| id.to_string(), |key| key.name.to_string())
}

//! Encoded sequences: a sealed knock spelled in port numbers, where every bit costs (`docs/PROTOCOL.md`, section 10).

mod anatomy;
mod bits;
mod fields;
mod hold;
mod queue;
mod template;
#[cfg(test)]
mod tests;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key, sign};
use zeroize::Zeroizing;

pub use self::anatomy::{Anatomy, anatomy, shown};
pub use self::fields::{Claim, Mark};
pub use self::hold::{is_hold, round_hold};
pub use self::queue::{Queue, READINGS, Symbols};
pub use self::template::{Fields, LONGEST, Span, Template, Transport, Whom};

use self::bits::{BitReader, Bits};
use crate::keys::derive;
use crate::{KeyId, Own, ServerPublic, door_hash};

/// Bits that show the beginning of the key's id to the server.
pub(crate) const HINT: usize = 6;
/// Fewest bits that cannot be made without the key; the others of a tag fill the last hit.
pub(crate) const TAG: usize = 64;
/// Marks that are tried, until the hits of one are all different: those of a minute.
const TRIES: u64 = 512;

/// Spells a claim: the symbols of the hits in their order, and its mark, the first from `from` on with which they are all different.
///
/// `from` is to be above the last mark of this key, and not before [`Mark::at`] of now. None if the template has no room for
/// what the claim says, or, which does not happen, no mark of the next minute will do.
#[must_use]
pub fn seal(
    (server, id, own): (&ServerPublic, KeyId, &Own),
    door: &str,
    template: &Template,
    claim: &Claim,
    from: Mark,
) -> Option<(Vec<u16>, Mark)> {
    let keys = Keys::new(server, id, own, door_hash(door), template);
    let mask = Key::new(HMAC_SHA256, &*mask_key(server));
    (0..TRIES).find_map(|more| {
        let mark = Mark(from.0.checked_add(more)?);
        let plain = fields::write(template.fields, claim, mark)?;
        let tag = keys.tag(template, mark, &plain);
        let mut payload = keys.hide(&tag, &plain);
        payload.push(u128::from(hint_of(id) ^ hint_mask(&mask, &tag)), HINT);
        payload.append(&tag);
        let symbols = spelled(&payload, template.span.data_bits())?;
        all_different(&symbols).then_some((symbols, mark))
    })
}

/// Reads symbols in their order with one key; none if they were not sealed with it, for the door with this [`door_hash`] and
/// by this template, within 68 minutes of now (in seconds since 1970). By whose they may be: [`crate::Tokens`].
#[must_use]
pub fn open(
    (server, id, own): (&ServerPublic, KeyId, &Own),
    door: [u8; 4],
    template: &Template,
    symbols: &[u16],
    now: u64,
) -> Option<(Claim, Mark)> {
    let Parts { hidden, hint, tag } = Parts::of(template, symbols)?;
    let keys = Keys::new(server, id, own, door, template);
    let plain = keys.hide(&tag, &hidden);
    let mark = fields::mark(&plain, now)?;
    verify_slices_are_equal(keys.tag(template, mark, &plain).bytes(), tag.bytes()).ok()?;
    let whole = hint ^ hint_mask(&Key::new(HMAC_SHA256, &*mask_key(server)), &tag) == hint_of(id);
    Some((fields::read(template.fields, &plain)?, mark)).filter(|_| whole)
}

/// How the id of the key begins by which symbols say they are, in [`HINT`] bits; none if they are none of this template. Takes the key that
/// [`mask_key`] is.
pub(crate) fn hint(mask: &Key, template: &Template, symbols: &[u16]) -> Option<u8> {
    let parts = Parts::of(template, symbols)?;
    Some(parts.hint ^ hint_mask(mask, &parts.tag))
}

/// That beginning.
pub(crate) fn hint_of(id: KeyId) -> u8 {
    let [first, ..] = id.0;
    first >> (8 - HINT)
}

/// The key that hides it.
pub(crate) fn mask_key(server: &ServerPublic) -> Zeroizing<[u8; 32]> {
    derive(server.bytes(), "klopf encoded 1 mask")
}

fn hint_mask(mask: &Key, tag: &Bits) -> u8 {
    sign(mask, tag.bytes()).as_ref().first().map_or(0, |first| first >> (8 - HINT))
}

/// What hits spell, apart.
struct Parts {
    hidden: Bits,
    hint: u8,
    tag: Bits,
}

impl Parts {
    /// None if there are too few or too many, one is none of the span, or one is not in its place.
    fn of(template: &Template, symbols: &[u16]) -> Option<Self> {
        let data_bits = template.span.data_bits();
        let mut payload = Bits::default();
        for (symbol, place) in symbols.iter().zip([0, 1].into_iter().cycle()) {
            (template.span.has(*symbol) && symbol & 1 == place)
                .then(|| payload.push((symbol >> 1).into(), data_bits))?;
        }
        let mut from = BitReader::new(&payload);
        let hidden = from.part(template.fields.bits() + fields::MARK)?;
        let hint = u8::try_from(from.take(HINT)?).ok()?;
        let tag = from.part(template.tag_bits())?;
        (symbols.len() == template.length()).then_some(Self { hidden, hint, tag })
    }
}

/// Cuts a payload into symbols.
fn spelled(payload: &Bits, data_bits: usize) -> Option<Vec<u16>> {
    let mut from = BitReader::new(payload);
    let places = [0, 1].into_iter().cycle().take(payload.len() / data_bits);
    places.map(|place| Some(u16::try_from(from.take(data_bits)?).ok()? << 1 | place)).collect()
}

fn all_different(symbols: &[u16]) -> bool {
    symbols.iter().enumerate().all(|(at, symbol)| !symbols.iter().take(at).any(|before| before == symbol))
}

/// What seals the hits of one key for one door and template: a synthetic initialisation vector, after the idea of RFC 5297.
struct Keys {
    seal: Key,
    hide: Key,
    context: Vec<u8>,
}

impl Keys {
    fn new(server: &ServerPublic, id: KeyId, own: &Own, door: [u8; 4], template: &Template) -> Self {
        let key = |info| Key::new(HMAC_SHA256, &*own.derive(info));
        let context = [b"klopf encoded 1", &server.bytes()[..], &id.0, &door, &template.bytes()].concat();
        Self { seal: key("klopf encoded 1 seal"), hide: key("klopf encoded 1 hide"), context }
    }

    /// The tag of bits that are not hidden yet.
    fn tag(&self, template: &Template, mark: Mark, plain: &Bits) -> Bits {
        let mut context = Context::with_key(&self.seal);
        for part in [&self.context, &mark.0.to_be_bytes()[..], plain.bytes()] {
            context.update(part);
        }
        Bits::first(context.sign().as_ref(), template.tag_bits())
    }

    /// Hides bits, or shows them again.
    fn hide(&self, tag: &Bits, bits: &Bits) -> Bits {
        bits.xor(sign(&self.hide, tag.bytes()).as_ref())
    }
}
